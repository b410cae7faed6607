import { tellFailures } from "./delivery-result.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type { FinishedDelivery } from "../contract/engine-store.ts";
import { retryPastStop } from "../outage/outage-pause.ts";

/**
 * Writes results of deliveries that ran outside of a transaction, however long Postgres is away, and logs the failures among the
 * results that were written.
 */
export async function settle(
  engine: Pick<EngineContext, "store" | "signal" | "log" | "logOutage">,
  finished: readonly FinishedDelivery[],
): Promise<void> {
  if (finished.length === 0) return;
  const written = new Set(await retryPastStop(engine, () => engine.store.finishDeliveries(finished)));
  tellFailures(
    engine,
    finished.filter(({ delivery }) => written.has(delivery)).map(({ result }) => result),
  );
  for (const { delivery, result } of finished) {
    if (written.has(delivery)) continue;
    const { seq, subscriber, attempt } = delivery;
    const fields = { seq, handler: subscriber, attempt, state: result.state };
    engine.log.warn(fields, "delivery was not this worker's any more, what came of it was not written");
  }
}
