import { decodeEvent } from "../event/decode-event.ts";
import type { EngineContext } from "../contract/engine-context.ts";

/**
 * Hands out the next deliveries of a replay, and returns whether there was one that is due.
 *
 * A replay is a row that says what it takes and how far it is. One transaction hands out a page and moves its cursor, so a
 * crash loses no page and repeats none; the row is locked by whoever tries first, so that several workers share replays
 * and not pages. What it hands out are deliveries as any others: they are run, tried again and repaired as those are.
 */
export async function advanceReplay(engine: EngineContext): Promise<boolean> {
  return engine.store.transaction(async (tx) => {
    const page = await tx.nextReplayPage();
    if (page === null) return false;
    // One by one: their bodies can be large.
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
