import { setTimeout as sleep } from "node:timers/promises";
import { readLastSeq, type Store, type TailedEvent, tailEvents, type TailFilter } from "@penstock/store";
import type { Response } from "express";

/** How often Postgres is asked what has come. Nobody reads faster. */
const POLL_MS = 500;
const PING_MS = 15_000;
/** Then the browser connects again, and goes on where it was: so who may not look any more is told so. */
const MAX_MS = 5 * 60_000;
/** Of what came at once, a page shows no more. */
const SHOWN = 200;

/** Who hears of what, and until when. */
export interface StreamOptions extends TailFilter {
  /** The cursor that the last message of an earlier stream had; undefined: from now on. */
  readonly after: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Sends events as they are processed, without their bodies, as server-sent events: `id` is the cursor to go on after. Skips
 * none, but for those that come faster than they can be shown: `left` says how many.
 */
export async function streamEvents(store: Store, res: Response, options: StreamOptions): Promise<void> {
  const { after, types, source } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(MAX_MS)]);
  const last = await readLastSeq(store);
  // A cursor of another database, or of one that was restored.
  let cursor = after === undefined || after > last ? last : after;
  res.set({ "content-type": "text/event-stream", "x-accel-buffering": "no" });
  res.flushHeaders();
  res.write(`retry: 2000\nid: ${cursor}\nevent: ready\ndata: {}\n\n`);
  let saidAt = performance.now();
  let tail = tailEvents(store, { types, source, after: cursor });
  while (!signal.aborted) {
    try {
      const page = await tail.read();
      if (page.events.length > 0) {
        res.write(`id: ${page.cursor}\nevent: events\ndata: ${JSON.stringify(toMessage(page.events))}\n\n`);
        saidAt = performance.now();
      }
      ({ cursor } = page);
      if (page.next === "more") continue;
    } catch (error) {
      if ((error as { code?: unknown }).code !== "DATABASE_UNAVAILABLE") throw error;
      tail = tailEvents(store, { types, source, after: cursor });
    }
    if (performance.now() - saidAt > PING_MS) {
      res.write(": here\n\n");
      saidAt = performance.now();
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
  res.end();
}

/** The newest of a page, and how many more there were. */
function toMessage(events: readonly TailedEvent[]) {
  const items = events.slice(-SHOWN).map(({ seq, source, id, type, receivedAt, body }) => ({
    seq,
    source,
    id,
    type,
    receivedAt: receivedAt.toISOString(),
    bytes: body.length,
  }));
  return { items, left: events.length - items.length };
}
