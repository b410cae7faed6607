import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** What the world outside heard of an event. */
export interface HeardEvent {
  calls: number;
  readonly keys: Set<string>;
  /** The attempt that has said that its effect is on record. */
  recordedBy: number | null;
  /**
   * Calls after that, by this attempt or a later one. An earlier attempt may still call: its worker was frozen past its lease,
   * and finds that out when it wants to record the effect.
   */
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
        const { id, key, attempt } = JSON.parse(body) as { id: string; key: string; attempt: number };
        const event = heard.get(id) ?? { calls: 0, keys: new Set<string>(), recordedBy: null, callsAfter: 0 };
        heard.set(id, event);
        if (request.url === "/recorded") event.recordedBy = attempt;
        else {
          event.calls++;
          event.keys.add(key);
          if (event.recordedBy !== null && attempt >= event.recordedBy) event.callsAfter++;
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
