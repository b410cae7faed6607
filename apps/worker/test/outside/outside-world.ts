import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Call {
  readonly handler: string;
  readonly eventId: string;
  readonly attempt: number;
  readonly idempotencyKey: string;
}

/** What effect handlers talk to: it hears of every call. */
export interface OutsideWorld {
  readonly url: string;
  readonly calls: readonly Call[];
  /** Ids of the events of which a handler told, with repetitions if there are any. */
  toldBy(handler: string): string[];
  /** Keeps the answers to a handler back until they are released. */
  hold(handler: string): void;
  release(): void;
  close(): void;
}

export async function createOutsideWorld(): Promise<OutsideWorld> {
  const calls: Call[] = [];
  const held = new Set<string>();
  const waiting: ServerResponse[] = [];
  const server = createServer((request, response) => {
    void text(request)
      .then((body) => {
        const handler = (request.url ?? "").slice(1);
        calls.push({ handler, ...(JSON.parse(body) as Omit<Call, "handler">) });
        if (held.has(handler)) waiting.push(response);
        else response.end("done");
      })
      .catch(() => response.destroy()); // whoever called is gone
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    toldBy: (handler) => calls.filter((call) => call.handler === handler).map(({ eventId }) => eventId),
    hold: (handler) => void held.add(handler),
    release() {
      held.clear();
      for (const response of waiting.splice(0)) response.end("done");
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
