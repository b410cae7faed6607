import { decodeEvent } from "../event/decode-event.ts";
import type { EngineContext } from "../contract/engine-context.ts";

/**
 * Hands out the next deliveries of a replay, and resolves to whether a replay was due.
 *
 * A replay is a row with a filter and a cursor. One transaction hands out a page and moves the cursor, so a crash loses no page and
 * repeats none. A worker locks the row, or goes on to the next replay where another worker has locked it. The deliveries
 * of a replay are run, retried and repaired like any others.
 */
export async function advanceReplay(engine: EngineContext): Promise<boolean> {
  return engine.store.transaction(async (tx) => {
    const page = await tx.nextReplayPage();
    if (page === null) return false;
    // One by one: bodies can be large.
    for (const pointer of page.quarantined) {
      const stored = await tx.readEvent(pointer);
      if (stored === null) continue;
      const decoding = decodeEvent(stored, engine.findSource);
      const verdict = decoding.ok ? ({ ok: true, type: decoding.decoded.event.type } as const) : decoding.quarantine;
      await tx.settleQuarantined(page.id, pointer, "ok" in verdict ? verdict : { ok: false, ...verdict });
    }
    return true;
  });
}
