import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type DnsServer, startDnsServer } from "../test/start-dns-server.ts";
import { createGuard, type GuardOptions } from "./guard.ts";
import { createSender } from "./sender.ts";

const PUBLIC = "93.184.216.34";
const post = { headers: {}, body: Buffer.from("{}") };

async function dns(answer: Parameters<typeof startDnsServer>[0]): Promise<DnsServer> {
  const server = await startDnsServer(answer);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

/** What must not be reached: counts connections to this machine. */
async function startInside(): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const server = http.createServer((_, response) => response.end("inside")).listen(0, "127.0.0.1");
  server.on("connection", () => connections++);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

function sending(options: GuardOptions) {
  const guard = createGuard(options);
  const sender = createSender({ guard });
  onTestFinished(() => sender.close());
  return { guard, sender };
}

test("a name that was public when its endpoint was saved, and is this machine when it is delivered to, gains nothing", async () => {
  const { resolver, asked } = await dns((_, time) => (time === 1 ? [PUBLIC] : ["127.0.0.1"]));
  const inside = await startInside();
  const { guard, sender } = sending({ resolver, ports: [inside.port] });
  const url = `https://rebind.example:${inside.port}/hook`;
  expect(await guard.check(url)).toMatchObject({ ok: true, addresses: [{ address: PUBLIC, family: 4 }] });
  expect(await sender.post({ url, ...post })).toMatchObject({
    answered: false,
    code: "REFUSED_ADDRESS",
    rule: "loopback",
    message: expect.stringContaining("rebind.example leads to 127.0.0.1"),
  });
  expect(inside.connections()).toBe(0);
  expect(asked.filter((one) => one === "A rebind.example")).toHaveLength(2);
});

test("what was judged is what is connected to: a connection asks for its name once", async () => {
  // Were there a second lookup, it would lead elsewhere.
  const { resolver, asked } = await dns((_, time) => (time === 1 ? ["127.0.0.1"] : ["0.0.0.0"]));
  const inside = await startInside();
  const { sender } = sending({ resolver, allow: ["127.0.0.1"] });
  const url = `http://rebind.example:${inside.port}/hook`;
  expect(await sender.post({ url, ...post })).toMatchObject({ status: 200, body: "inside" });
  expect(asked.toSorted()).toEqual(["A rebind.example", "AAAA rebind.example"]);
  expect(inside.connections()).toBe(1);
  // A connection that is kept is one that was judged; each new one is judged anew.
  const { sender: other } = sending({ resolver, allow: ["127.0.0.1"] });
  expect(await other.post({ url, ...post })).toMatchObject({ code: "REFUSED_ADDRESS", rule: "unspecified" });
  expect(inside.connections()).toBe(1);
});

test.each([
  ["one private address among public ones", [PUBLIC, "10.0.0.1", "1.1.1.1"], "private-address"],
  ["a public IPv4 and a private IPv6 address", [PUBLIC, "fd00::1"], "private-address"],
  ["a public IPv6 and a private IPv4 address", ["2606:4700::1111", "192.168.0.1"], "private-address"],
  ["this machine, by a name of somebody else", ["127.0.0.1"], "loopback"],
  ["this machine, mapped", ["::ffff:127.0.0.1"], "loopback"],
  ["a metadata service", ["169.254.169.254"], "metadata"],
  ["a metadata service by NAT64", ["64:ff9b::a9fe:a9fe"], "metadata"],
  ["6to4", ["2002:7f00:1::"], "transition"],
  ["0.0.0.0", ["0.0.0.0"], "unspecified"],
  ["link-local IPv6", ["fe80::1"], "link-local"],
])("a name is refused that leads to %s", async (_, addresses, rule) => {
  const { resolver } = await dns(() => addresses);
  const { guard, sender } = sending({ resolver });
  const url = "https://tricky.example/";
  expect(await guard.resolve("tricky.example")).toMatchObject({ ok: false, rule });
  expect(await guard.check(url)).toMatchObject({ ok: false, rule });
  expect(await sender.post({ url, ...post })).toMatchObject({ answered: false, code: "REFUSED_ADDRESS", rule });
});

test("all addresses of a name are handed over, IPv4 first", async () => {
  const { resolver } = await dns(() => ["2606:4700::1111", PUBLIC, "1.1.1.1"]);
  const addresses = [
    { address: PUBLIC, family: 4 },
    { address: "1.1.1.1", family: 4 },
    { address: "2606:4700::1111", family: 6 },
  ];
  const guard = createGuard({ resolver });
  expect(await guard.resolve("many.example")).toEqual({ ok: true, addresses });
  const lookup = (options: object) =>
    new Promise((resolve) => guard.lookup("many.example", options, (...answer) => resolve(answer)));
  expect(await lookup({ all: true })).toEqual([null, addresses]);
  expect(await lookup({})).toEqual([null, PUBLIC, 4]);
  expect(await lookup({ family: 6 })).toEqual([null, "2606:4700::1111", 6]);
});

test("an address that is all a name has, and of the other family, is no address", async () => {
  const { resolver } = await dns(() => [PUBLIC]);
  const guard = createGuard({ resolver });
  const socket = net.connect({ host: "four.example", port: 443, family: 6, lookup: guard.lookup });
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  expect(error).toMatchObject({ code: "ENOTFOUND", rule: "unresolvable" });
});

test("a name that does not exist is unresolvable, and the answer of a post has the code of DNS", async () => {
  const { resolver } = await dns(() => []);
  const { guard, sender } = sending({ resolver });
  const url = "https://nowhere.example/";
  expect(await guard.check(url)).toMatchObject({ ok: false, rule: "unresolvable" });
  expect(await sender.post({ url, ...post })).toMatchObject({ answered: false, code: "ENOTFOUND" });
});

test("a name server that keeps silent holds up nobody else", async () => {
  const { resolver } = await dns((name) => (name === "silent.example" ? undefined : [PUBLIC]));
  const guard = createGuard({ resolver });
  const silent = Array.from({ length: 50 }, () => guard.resolve("silent.example"));
  expect(await guard.resolve("other.example")).toMatchObject({ ok: true });
  for (const outcome of await Promise.all(silent)) {
    expect(outcome).toMatchObject({ ok: false, rule: "unresolvable", message: expect.stringContaining("ETIMEOUT") });
  }
});

test("half an answer will do", async () => {
  // AAAA is the second time that is kept silent about.
  const { resolver, asked } = await dns(() => (asked.at(-1)?.startsWith("AAAA") ? undefined : [PUBLIC]));
  expect(await createGuard({ resolver }).resolve("half.example")).toMatchObject({
    ok: true,
    addresses: [{ address: PUBLIC }],
  });
});

test("http, and ports that are not listed, lead to allowed addresses only", async () => {
  const { resolver } = await dns((name) => (name === "in.example" ? ["10.1.2.3"] : [PUBLIC]));
  const { guard, sender } = sending({ resolver, allow: ["10.0.0.0/8"] });
  expect(await guard.check("http://in.example:3000/")).toMatchObject({ ok: true });
  expect(await guard.check("http://out.example/")).toMatchObject({ ok: false, rule: "scheme" });
  expect(await guard.check("https://out.example:3000/")).toMatchObject({ ok: false, rule: "port" });
  expect(await guard.check("https://out.example/")).toMatchObject({ ok: true });
  expect(await sender.post({ url: "http://out.example/", ...post })).toMatchObject({ code: "REFUSED_ADDRESS" });
});

test("with an allow-list, the system is asked for what DNS does not know, and its answer judged alike", async () => {
  const { resolver } = await dns(() => []);
  // Any host file has other names; this is one that every system takes for an address.
  const inside = createGuard({ resolver, allow: ["127.0.0.0/8"] });
  expect(await inside.resolve("127.1")).toEqual({ ok: true, addresses: [{ address: "127.0.0.1", family: 4 }] });
  const elsewhere = createGuard({ resolver, allow: ["10.0.0.0/8"] });
  expect(await elsewhere.resolve("127.1")).toMatchObject({ ok: false, rule: "loopback" });
  expect(await createGuard({ resolver }).resolve("127.1")).toMatchObject({ ok: false, rule: "unresolvable" });
});

test("localhost is never a question for DNS", async () => {
  const { resolver, asked } = await dns(() => [PUBLIC]);
  expect(await createGuard({ resolver }).resolve("localhost")).toMatchObject({ ok: false, rule: "loopback" });
  expect(await createGuard({ resolver, allow: ["127.0.0.0/8"] }).resolve("api.localhost")).toEqual({
    ok: true,
    addresses: [{ address: "127.0.0.1", family: 4 }],
  });
  expect(asked).toEqual([]);
});
