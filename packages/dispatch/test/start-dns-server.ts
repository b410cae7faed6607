import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Resolver } from "node:dns/promises";
import { isIP } from "node:net";

const TYPES: Readonly<Record<number, "A" | "AAAA">> = { 1: "A", 28: "AAAA" };

export interface DnsServer extends AsyncDisposable {
  /** Asks this server and no other. */
  readonly resolver: Resolver;
  /** What was asked, in order: `A rebind.example`. */
  readonly asked: string[];
}

/**
 * A DNS server of ours, over UDP. `answer` gives the addresses of a name for the nth time (from 1) that this type is
 * asked for; `undefined` keeps silent, and no address of the type is an empty answer.
 */
export async function startDnsServer(
  answer: (name: string, time: number) => readonly string[] | undefined,
): Promise<DnsServer> {
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    let at = 12;
    const labels: string[] = [];
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.subarray(at + 1, at + 1 + length).toString());
      at += 1 + length;
    }
    const question = query.subarray(12, at + 5);
    const name = labels.join(".").toLowerCase();
    const type = TYPES[query.readUInt16BE(at + 1)];
    if (type === undefined) return;
    asked.push(`${type} ${name}`);
    const addresses = answer(name, asked.filter((one) => one === `${type} ${name}`).length);
    if (addresses === undefined) return;
    const records = addresses.filter((one) => (isIP(one) === 4) === (type === "A")).map((one) => toRecord(one, type));
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(addresses.length === 0 ? 0x8183 : 0x8180, 2); // NXDOMAIN where there is no address at all
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    socket.send(Buffer.concat([header, question, ...records]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const resolver = new Resolver({ timeout: 200, tries: 1 });
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    resolver,
    asked,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

/** Of the name in the question, to be forgotten at once. */
function toRecord(address: string, type: "A" | "AAAA"): Buffer {
  const data =
    type === "A" ? Buffer.from(address.split(".").map(Number)) : Buffer.from(toGroups(address).join(""), "hex");
  const head = Buffer.from([0xc0, 12, 0, type === "A" ? 1 : 28, 0, 1, 0, 0, 0, 0, 0, data.length]);
  return Buffer.concat([head, data]);
}

function toGroups(address: string): string[] {
  const [head = "", tail = ""] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const left = head.split(":").filter(Boolean);
  const right = tail.split(":").filter(Boolean);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return [...left, ...zeros, ...right].map((group) => group.padStart(4, "0"));
}
