import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  accept,
  answer,
  eventually,
  freePort,
  openSink,
  readDocBlocks,
  type Sink,
  startProcess,
} from "@penstock/testing";
import { generateMasterKey } from "@penstock/dispatch";
import { adminOperations } from "@penstock/schemas";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

let penstock: Penstock;
let sink: Sink;
beforeAll(async () => {
  penstock = await createPenstock();
  await penstock.start();
  return penstock.remove;
});
beforeEach(async () => {
  sink = await openSink();
});
afterEach(() => sink.close());

/** Runs a command that has to succeed: the JSON objects that it prints, which are what the operation answers with. */
async function json(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await penstock.call([...args, "--json"]);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: [] });
  const rows = parseLines(stdout);
  const output = outputs.get(args.slice(0, 2).join("."));
  for (const row of rows) expect({ args, issues: output?.safeParse(row).error?.issues }).toEqual({ args });
  return rows;
}

const outputs = new Map<string, { safeParse(row: unknown): { error?: { issues: unknown } | undefined } }>(
  Object.entries(adminOperations).map(([operation, { output }]) => [operation, output]),
);

async function add(...options: string[]): Promise<{ id: string; secret: string }> {
  const [added] = await json("endpoints", "add", sink.url, ...options);
  return added as { id: string; secret: string };
}

async function send(id: string, ...options: string[]): Promise<void> {
  await json("send", "message.received", "--id", id, ...options);
}

const ids = (): string[] => sink.received.map(({ body }) => (JSON.parse(body.toString()) as { id: string }).id);
const deliveryOf = async (event: string, endpoint: string) =>
  (await json("deliveries", "list", "--handler", endpoint)).find(({ eventId }) => eventId === event);

/** What the list of deliveries says of one: its state, tries, and when it is tried next. */
async function nextOf(event: string, endpoint: string): Promise<string | undefined> {
  const { stdout } = await penstock.call(["deliveries", "list", "--handler", endpoint]);
  const line = stdout.find((one) => one.includes(` ${event} `)) ?? "";
  return new RegExp(`${endpoint} +(.*)$`).exec(line)?.[1]?.replace(/ {2,}/g, "  ");
}

test("an endpoint is added, gets what comes, fails, is mended, and recovers what it missed: by these commands alone", async () => {
  const added = await penstock.call(["endpoints", "add", sink.url, "--types", "message.received", "--retry", "0s"]);
  expect(added.code).toBe(0);
  const [, id = ""] = /^(ep_[0-9a-f]{16}) /.exec(added.stdout[0] ?? "") ?? [];
  const [, secret = ""] = /^secret {2}(whsec_\S+)$/.exec(added.stdout[1] ?? "") ?? [];
  await send("evt_well");
  await eventually(() => expect(ids()).toEqual(["evt_well"]));
  new Webhook(secret).verify(sink.received[0]!.body, sink.received[0]!.headers as Record<string, string>);

  sink.answer = answer(500);
  await send("evt_missed");
  await eventually(async () => expect(await deliveryOf("evt_missed", id)).toMatchObject({ state: "dead" }));
  const shown = (await penstock.call(["deliveries", "show", "evt_missed", id])).stdout.join("\n");
  expect(shown).toMatch(/#1 +failed .*\n +HTTP 500: status 500\n(.*\n)*.*#2 +failed/);
  const failing = (await penstock.call(["endpoints", "show", id])).stdout.join("\n");
  expect(failing).toMatch(/^status +failing ×2/m);
  expect(failing).toMatch(/^last error +HTTP 500: status 500$/m);
  const tested = await penstock.call(["endpoints", "test", id]);
  expect(tested).toMatchObject({
    code: 1,
    stdout: [expect.stringMatching(/^failed {2}HTTP 500 after .*: status 500$/)],
  });

  sink.answer = accept;
  expect(await penstock.call(["endpoints", "test", id])).toMatchObject({ code: 0, stderr: [] });
  expect(await penstock.call(["endpoints", "recover", id])).toMatchObject({
    code: 0,
    stdout: ["1 delivery to be sent now"],
  });
  await eventually(async () => expect(await deliveryOf("evt_missed", id)).toMatchObject({ state: "succeeded" }));
  const missed = sink.received.filter(({ body }) => body.includes("evt_missed"));
  expect(new Set(missed.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  await eventually(async () => expect(await json("endpoints", "show", id)).toMatchObject([{ status: "active" }]));
  expect(await penstock.call(["endpoints", "recover", id])).toMatchObject({
    code: 1,
    stderr: [expect.stringMatching(/has missed nothing: /)],
  });
  for (const listed of ["endpoints", "events", "deliveries", "handlers"]) await json(listed, "list");
  expect(await json("events", "show", "evt_missed")).toHaveLength(1);
  expect(await json("deliveries", "show", "evt_missed")).not.toHaveLength(0);
  await json("endpoints", "test", id);
  for (const verb of ["pause", "resume"]) await json("handlers", verb, "picky");
  await json("replay", "create", "evt_well", "--handler", id);
  await eventually(() => expect(ids().filter((one) => one === "evt_well")).toHaveLength(2));
});

test("docs/endpoints.md's way to send webhooks can be followed", async () => {
  const page = fileURLToPath(new URL("../../../docs/endpoints.md", import.meta.url));
  const lines = readFileSync(page, "utf8").split("\n");
  const from = lines.indexOf("## Try it");
  const until = lines.findIndex((line, at) => at > from && line.startsWith("## "));
  const blocks = readDocBlocks(page).filter(({ line }) => line > from && line < until);
  const port = await freePort();
  const here = (text: string): string => text.replaceAll("3000", String(port));
  const program = blocks.find(({ about }) => about === "receiver.mjs")?.text ?? "";
  const receiver = join(penstock.home, "receiver.mjs");
  await writeFile(receiver, here(program));
  let [id, secret] = ["", ""];
  const steps = blocks.filter(({ language }) => language === "sh").flatMap(({ text }) => text.trim().split("\n"));
  expect(steps).toHaveLength(8);
  for (const step of steps) {
    if (step === "SECRET=whsec_… node receiver.mjs") {
      const run = startProcess({ file: receiver, args: [], env: { SECRET: secret }, name: "receiver" });
      onTestFinished(() => run.kill());
      await eventually(async () => expect((await fetch(`http://localhost:${port}/`)).status).toBe(401));
      continue;
    }
    const [, command = ""] = /^npm run penstock -- (.*)$/.exec(here(step)) ?? [];
    const args = command.replace(/ep_[0-9a-f]{16}/, id).split(" ");
    const shows = { "--state dead": new RegExp(`${id} +dead +3 .*ECONNREFUSED`), [`--handler ${id}`]: /succeeded/ };
    const [, shown = /./] = Object.entries(shows).find(([option]) => args.join(" ").endsWith(option)) ?? [];
    await eventually(async () => {
      const { code, stdout, stderr } = await penstock.call(args);
      expect({ step, code, stderr, stdout: stdout.join("\n") }).toEqual({
        step,
        code: 0,
        stderr: [],
        stdout: expect.stringMatching(shown) as string,
      });
      id = /^ep_\w+/.exec(stdout[0] ?? "")?.[0] ?? id;
      secret = /^secret {2}(\S+)$/m.exec(stdout.join("\n"))?.[1] ?? secret;
    });
  }
});

test("one that is gone is disabled, and is offered what it missed once it is resumed", async () => {
  const { id } = await add("--types", "message.received");
  sink.answer = answer(410);
  await send("evt_gone");
  await eventually(async () => expect(await json("endpoints", "show", id)).toMatchObject([{ status: "disabled" }]));
  await send("evt_skipped");
  await eventually(async () => expect(await deliveryOf("evt_skipped", id)).toMatchObject({ state: "skipped" }));
  const listed = (await penstock.call(["endpoints", "list"])).stdout.find((line) => line.startsWith(id));
  expect(listed).toMatch(/disabled \d+ s .*it answered 410 Gone$/);
  expect(await json("endpoints", "show", id)).toMatchObject([{ missed: 2 }]);
  const early = await penstock.call(["endpoints", "recover", id]);
  expect(early.stdout[0]).toBe("2 deliveries to be sent once it goes on: it is disabled");
  sink.answer = accept;
  expect((await penstock.call(["endpoints", "resume", id])).stdout).toEqual([`resumed ${id}`]);
  await eventually(() => expect(ids().slice(1).toSorted()).toEqual(["evt_gone", "evt_skipped"]));
});

test("what its filter keeps back is not missed, what is dead is; and of one that goes on well nothing old is told", async () => {
  const { id } = await add("--filter", "data.channel=sms", "--retry", "0s");
  await send("evt_kept_back", "--data", '{"channel":"mail"}');
  await json("replay", "create", "evt_kept_back", "--handler", id, "--missing");
  await eventually(async () => expect(await deliveryOf("evt_kept_back", id)).toMatchObject({ state: "skipped" }));
  expect((await penstock.call(["endpoints", "show", id])).stdout.join("\n")).not.toContain("recover");
  expect((await penstock.call(["endpoints", "resume", id])).stdout).toEqual([`${id} is active: nothing kept it`]);

  sink.answer = answer(500);
  await send("evt_dies", "--data", '{"channel":"sms"}');
  await eventually(async () => expect(await deliveryOf("evt_dies", id)).toMatchObject({ state: "dead" }));
  expect((await penstock.call(["endpoints", "list"])).stdout.join("\n")).toContain("HTTP 500: status 500");
  expect((await penstock.call(["endpoints", "resume", id])).stdout.join("\n")).toMatch(
    /^resumed .*\n\nIt has missed 1 delivery, which .*\n.* endpoints recover ep_/,
  );
  await json("endpoints", "pause", id);
  const paused = (await penstock.call(["endpoints", "list"])).stdout.find((line) => line.startsWith(id));
  expect(paused).not.toContain("HTTP 500");
  await json("endpoints", "delete", id, "--yes");
});

test("another master key can take the place of the one that sealed", async () => {
  const { id, secret } = await add();
  const old = (await readFile(join(penstock.home, "master-key"), "utf8")).trim();
  const fresh = generateMasterKey();
  const both = { PENSTOCK_MASTER_KEY: `${fresh},${old}` };
  await json("endpoints", "rotate", id);
  const resealed = await penstock.call(["endpoints", "reseal"], both);
  expect(resealed).toMatchObject({
    code: 0,
    stderr: [],
    stdout: [expect.stringMatching(/^\d+ endpoints? (is|are) sealed with the master key [0-9a-f]{8}: others can go/)],
  });
  const alone = { PENSTOCK_MASTER_KEY: fresh };
  expect((await penstock.call(["endpoints", "secret", id], alone)).stdout).not.toEqual([secret]);
  expect((await penstock.call(["endpoints", "test", id], alone)).code).toBe(0);
  new Webhook(secret).verify(sink.received[0]!.body, sink.received[0]!.headers as Record<string, string>);

  expect(await penstock.call(["endpoints", "reseal"], { PENSTOCK_MASTER_KEY: old })).toMatchObject({
    code: 1,
    stderr: expect.arrayContaining([
      expect.stringMatching(/^0 endpoints are sealed .*, these are not:$/),
      expect.stringMatching(new RegExp(`^${id}: Sealed with the master key`)),
    ]) as string[],
  });
  // A key that is lost: no new master key opens what it sealed, and a new secret signs alone.
  const rotated = await penstock.call(["endpoints", "rotate", id, "--yes"], { PENSTOCK_MASTER_KEY: old });
  expect(rotated).toMatchObject({
    code: 0,
    stderr: ["The old one cannot be opened with this master key, and signs no longer."],
  });
  expect(rotated.stdout.at(-1)).toBe("In 5 seconds at the latest the old one signs no longer.");
  expect((await penstock.call(["endpoints", "test", id])).code).toBe(0);
  const back = await penstock.call(["endpoints", "reseal", "--json"], { PENSTOCK_MASTER_KEY: `${old},${fresh}` });
  expect(adminOperations["endpoints.reseal"].output.parse(parseLines(back.stdout)[0]).endpoints).toBeGreaterThan(0);
});

test("what waits for one that asked for patience is not said to be tried before", async () => {
  const { id } = await add("--types", "message.received");
  sink.answer = answer(503, { "retry-after": "600" });
  await send("evt_busy");
  await eventually(async () => expect(await deliveryOf("evt_busy", id)).toMatchObject({ state: "retrying" }));
  await send("evt_behind");
  await eventually(async () => expect(await nextOf("evt_behind", id)).toMatch(/^pending {2}0 {2}in (9|10) min$/));
  const { stdout } = await penstock.call(["events", "list"]);
  expect(stdout.find((line) => line.includes("evt_busy"))).toMatch(/ retrying 1(\/6)? in (9|10) min/);
});

test("it can be paused, changed, given another secret, and deleted", async () => {
  const { id, secret } = await add("--tenant", "acme", "--filter", "data.channel=sms", "--filter", "data.channel=mail");
  expect(await json("endpoints", "list", "--tenant", "acme")).toMatchObject([
    { id, filter: { "data.channel": ["sms", "mail"] }, status: "active" },
  ]);
  expect((await penstock.call(["endpoints", "secret", id])).stdout).toEqual([secret]);
  const [rotated] = await json("endpoints", "rotate", id, "--overlap", "1h");
  expect(rotated).toMatchObject({ id, previousSecretUntil: expect.any(String) as string });
  expect((await penstock.call(["endpoints", "secret", id])).stdout).toEqual([rotated!["secret"]]);
  expect(await penstock.call(["endpoints", "rotate", id])).toMatchObject({
    code: 2,
    stderr: [expect.stringMatching(/^The last rotation is under way: until .*add --yes\.$/)],
  });
  expect((await penstock.call(["endpoints", "test", id])).code).toBe(0);
  const example = sink.received.splice(0)[0]!;
  for (const each of [secret, String(rotated!["secret"])]) {
    new Webhook(each).verify(example.body, example.headers as Record<string, string>);
  }

  await json("endpoints", "pause", id);
  await send("evt_mail", "--data", '{"channel":"mail"}');
  await send("evt_other", "--data", '{"channel":"whatsapp"}');
  await eventually(async () => expect(await deliveryOf("evt_mail", id)).toMatchObject({ state: "pending" }));
  expect(await deliveryOf("evt_other", id)).toBeUndefined();
  expect((await penstock.call(["deliveries", "show", "evt_mail", id])).stdout.join("\n")).toMatch(
    /^endpoint +ep_\w+ {2}\(paused \d+ s\)$/m,
  );
  expect(await nextOf("evt_mail", id)).toBe("pending  0  paused");
  const listed = (await penstock.call(["events", "list"])).stdout.find((line) => line.includes("evt_mail"));
  expect(listed).toContain(`${id} pending (paused)`);
  await json("endpoints", "resume", id);
  await eventually(() => expect(ids()).toEqual(["evt_mail"]));
  for (const each of [secret, String(rotated!["secret"])]) {
    new Webhook(each).verify(sink.received[0]!.body, sink.received[0]!.headers as Record<string, string>);
  }

  const changed = await json("endpoints", "update", id, "--types", "contact.created", "--rate", "5");
  expect(changed).toMatchObject([{ types: ["contact.created"], ratePerSecond: 5, tenant: "acme" }]);
  const bare = await json("endpoints", "update", id, "--filter", "none", "--tenant", "none", "--rate", "none");
  expect(bare).toMatchObject([{ filter: null, tenant: null, ratePerSecond: null, types: ["contact.created"] }]);
  expect(await penstock.call(["endpoints", "delete", id])).toMatchObject({
    code: 2,
    stderr: [expect.stringContaining("add --yes")],
  });
  const usual = await json("endpoints", "update", id, "--header-name", "none");
  expect(usual).toMatchObject([{ headerName: null }]);
  const asked = await json("endpoints", "update", id, "--header-name", "X-BuzzBip-Signature");
  expect(asked).toMatchObject([{ headerName: "X-BuzzBip-Signature" }]);
  expect((await penstock.call(["endpoints", "resume", id])).stdout).toEqual([`${id} is active: nothing kept it`]);
  await json("endpoints", "update", id, "--types", "*");
  await json("endpoints", "pause", id);
  await send("evt_late");
  await eventually(async () => expect(await deliveryOf("evt_late", id)).toMatchObject({ state: "pending" }));
  expect((await penstock.call(["deliveries", "show", "evt_late", id])).stdout.join("\n")).toMatch(
    /^next try +held back: it is paused$/m,
  );
  expect((await penstock.call(["deliveries", "retry", "evt_late", "--handler", id])).stderr.join("\n")).toMatch(
    /^No delivery of event evt_late was changed: ep_\w+ is pending and held back, since that is paused, and retry takes/,
  );
  expect(await json("endpoints", "delete", id, "--yes")).toEqual([{ endpoint: id, cancelled: 1 }]);
  const retried = await penstock.call(["deliveries", "retry", "evt_late", "--handler", id]);
  expect(retried).toMatchObject({
    code: 1,
    stdout: [],
    stderr: [expect.stringMatching(/: ep_\w+ was deleted, and retry takes/)],
  });
  expect((await penstock.call(["deliveries", "show", "evt_late", id])).stdout.join("\n")).toMatch(
    /^endpoint +ep_\w+ {2}\(deleted: nothing is sent to it any more\)$/m,
  );
  expect(await penstock.call(["endpoints", "show", id])).toMatchObject({
    code: 1,
    stderr: [expect.stringMatching(/^There is no endpoint ep_/)],
  });
});

test.each([
  [["https://10.0.0.1/hook"], 1, /^Refused \(rule private-address\): .*OUTBOUND_ALLOW/],
  [["https://169.254.169.254/latest"], 1, /^Refused \(rule metadata\)/],
  [["http://8.8.8.8/hook"], 1, /^Refused \(rule scheme\)/],
  [["ftp://example.com"], 1, /^Refused \(rule scheme\)(?!.*OUTBOUND)/],
  [["https://1.1.1.1:9000/"], 1, /^Refused \(rule port\): .*OUTBOUND_PORTS/],
  [["https://user:pass@example.com/"], 1, /^Refused \(rule credentials\): (?!.*pass|.*OUTBOUND)/],
  [
    ["https://example.com/", "--types", "message.read"],
    2,
    /^No source sends message\.read\. Known are .*message\.received/,
  ],
  [["https://example.com/", "--lane", "contactId"], 2, /^--lane must name a field/],
  [["https://example.com/", "--header-name", "Host"], 2, /^--header-name is a header with a meaning of its own/],
  [["https://example.com/", "--filter", "x"], 2, /It must be a path and a value/],
  [["https://example.com/", "--retry", "60d"], 2, /^--retry must be waits of 30d at most/],
  [["https://example.com/", "--retry", "soon"], 2, /It must be a length of time/],
])("endpoints add %j is refused and says why", async (args, code, message) => {
  const outcome = await penstock.call(["endpoints", "add", ...args]);
  expect(outcome).toMatchObject({ code, stdout: [] });
  expect(outcome.stderr.join("\n")).toMatch(message);
});

test("without the master key, or with another one, nothing is added or shown, and it is said what to do", async () => {
  const { id } = await add();
  const other = { PENSTOCK_MASTER_KEY: Buffer.alloc(32, 7).toString("base64") };
  expect(await penstock.call(["endpoints", "secret", id], other)).toMatchObject({
    code: 1,
    stdout: [],
    stderr: [expect.stringMatching(/^Sealed with the master key [0-9a-f]{8}, which is not among those given/)],
  });
  const [databaseUrl = ""] = (await penstock.call(["db", "url"])).stdout;
  const keyless = { PENSTOCK_HOME: "/nonexistent", DATABASE_URL: databaseUrl };
  const none = await penstock.call(["endpoints", "add", sink.url], keyless);
  expect(none).toMatchObject({ code: 1, stdout: [], stderr: [expect.stringMatching(/^There is no master key/)] });
  for (const [command, meant] of [
    ["pause", "pause"],
    ["remove", "delete"],
  ] as const) {
    expect(await penstock.call(["handlers", command, id])).toMatchObject({
      code: 2,
      stderr: [expect.stringContaining(`endpoints ${meant}`)],
    });
  }
});
