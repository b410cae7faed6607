import { randomUUID } from "node:crypto";
import type { EngineContext } from "../contract/engine-context.ts";
import { retryUntilStop } from "../outage/outage-pause.ts";

/**
 * Claims deliveries of a subscriber, however long Postgres is away. What a claim took whose answer got lost is handed back
 * first: it is known by the claim's token, and no attempt of it has begun.
 *
 * @throws when the engine's signal is aborted meanwhile.
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
