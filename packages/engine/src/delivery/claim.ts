import { randomUUID } from "node:crypto";
import type { EngineContext } from "../contract/engine-context.ts";
import { retryUntilStop } from "../outage/outage-pause.ts";

/**
 * Claims deliveries of a subscriber, however long Postgres is away. The deliveries of a claim whose answer got lost are handed
 * back first: the claim's token finds them, and no attempt has started.
 *
 * @throws when the engine's signal is aborted first.
 */
export function claim<T>(
  engine: Pick<EngineContext, "store" | "signal" | "log" | "logOutage">,
  subscriber: string,
  take: (token: string) => Promise<T>,
): Promise<T> {
  const token = randomUUID();
  let isAnswerLost = false;
  return retryUntilStop(engine, async () => {
    if (isAnswerLost) await engine.store.releaseClaim({ subscriber, token });
    isAnswerLost = true;
    return take(token);
  });
}
