// A receiver of webhooks that accepts all, and can tell what came and when.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What a sink tells when it is asked. Times are milliseconds of Unix time. */
export interface SinkReport {
  readonly port: number;
  readonly requests: number;
  /** Different `webhook-id`s. */
  readonly different: number;
  /** When each came; in order. Left out unless asked for. */
  readonly times?: readonly number[];
  /** When the first request with an event came, by the event's id. Left out unless asked for. */
  readonly arrivals?: Readonly<Record<string, number>>;
}

const ids = new Set<string>();
const times: number[] = [];
const arrivals: Record<string, number> = {};
const now = (): number => performance.timeOrigin + performance.now();

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const at = now(); // its first byte was there
  times.push(at);
  ids.add(String(request.headers["webhook-id"]));
  const keeps = request.url === "/keep";
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => {
    if (keeps) chunks.push(chunk);
  });
  request.on("end", () => {
    if (keeps) arrivals[(JSON.parse(Buffer.concat(chunks).toString()) as { id: string }).id] ??= at;
    response.writeHead(200, { "content-length": 0 }).end();
  });
});
server.listen(0, "127.0.0.1", () => console.log("ready"));
process.on("message", (asked) => {
  const report: SinkReport = {
    port: (server.address() as AddressInfo).port,
    requests: times.length,
    different: ids.size,
    ...(asked === "all" && { times, arrivals }),
  };
  process.send?.(report);
});
process.on("disconnect", () => process.exit());
