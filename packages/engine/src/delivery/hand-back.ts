import type { EngineContext } from "../contract/engine-context.ts";
import type { ClaimedDelivery } from "../contract/engine-store.ts";
import { isConflict, isUnavailable } from "../outage/errors.ts";
import { createOutagePause } from "../outage/outage-pause.ts";

/** How long a delivery rests that an outage cut off: while the disk is full it can be claimed, again and again. */
const OUTAGE_REST_MS = 2_000;

/** Gives deliveries back with no attempt counted: the worker stops, or Postgres cannot go on. */
export async function handBack(
  engine: EngineContext,
  deliveries: readonly ClaimedDelivery[],
  error: unknown,
): Promise<void> {
  const pause = createOutagePause(engine);
  for (let cause = error; ;) {
    if (!engine.signal.aborted) await pause(cause).catch(() => undefined);
    const restMs = engine.signal.aborted ? 0 : OUTAGE_REST_MS;
    try {
      return await engine.store.releaseDeliveries(deliveries, { restMs });
    } catch (refusal) {
      cause = refusal;
      if (!engine.signal.aborted && (isUnavailable(refusal) || isConflict(refusal))) continue;
      const seqs = deliveries.map(({ seq }) => seq);
      engine.log.warn({ seqs, err: refusal }, "deliveries could not be handed back, their leases will run out");
      return;
    }
  }
}
