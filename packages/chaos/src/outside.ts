import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** What the world outside heard of an event. */
export interface HeardEvent {
  calls: number;
  readonly keys: Set<string>;
  /** The handler has said that its effect is on record. */
  recorded: boolean;
  /** Calls after that. */
  callsAfter: number;
}

/** The world outside of Penstock: it hears of each effect. */
export interface OutsideWorld {
  readonly url: string;
  readonly heard: ReadonlyMap<string, HeardEvent>;
  close(): void;
}

/** As long as a call of somebody else's server takes. */
const ANSWER_MS = 100;

export async function openOutsideWorld(): Promise<OutsideWorld> {
  const heard = new Map<string, HeardEvent>();
  const server = createServer((request, response) => {
    void text(request)
      .then((body) => {
        const { id, key } = JSON.parse(body) as { id: string; key: string };
        const event = heard.get(id) ?? { calls: 0, keys: new Set<string>(), recorded: false, callsAfter: 0 };
        heard.set(id, event);
        if (request.url === "/recorded") event.recorded = true;
        else {
          event.calls++;
          event.keys.add(key);
          if (event.recorded) event.callsAfter++;
        }
        // Time enough for a worker to be killed or frozen meanwhile.
        setTimeout(() => response.end("heard"), request.url === "/recorded" ? 0 : ANSWER_MS);
      })
      .catch(() => response.destroy()); // the process that called is gone
  });
  // A worker that was frozen must not find its connection closed: that would be an error of the handler.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
