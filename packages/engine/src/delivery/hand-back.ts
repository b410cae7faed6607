import type { EngineContext } from "../contract/engine-context.ts";
import type { ClaimedDelivery } from "../contract/engine-store.ts";
import { createOutagePause, retryPastStop } from "../outage/outage-pause.ts";

/** How long a delivery rests after an outage: while the disk is full, it could be claimed again and again. */
const OUTAGE_REST_MS = 2_000;

/** Hands deliveries back untried, to be claimed again at once or after a rest. Never rejects. */
export async function release(
  engine: EngineContext,
  deliveries: readonly ClaimedDelivery[],
  options?: { readonly restMs: number },
): Promise<void> {
  if (deliveries.length === 0) return;
  try {
    await retryPastStop(engine, () => engine.store.releaseDeliveries(deliveries, options));
  } catch (error) {
    const seqs = deliveries.map(({ seq }) => seq);
    engine.log.warn({ seqs, err: error }, "deliveries could not be handed back, their leases will run out");
  }
}

/** Hands deliveries back with no attempt counted, once an outage is over or when the worker stops. */
export async function handBack(
  engine: EngineContext,
  deliveries: readonly ClaimedDelivery[],
  error: unknown,
): Promise<void> {
  if (!engine.signal.aborted) await createOutagePause(engine)(error).catch(() => undefined);
  await release(engine, deliveries, { restMs: engine.signal.aborted ? 0 : OUTAGE_REST_MS });
}
