import { setTimeout as delay } from "node:timers/promises";
import { loop, type Service, type Workplace } from "./service.ts";

const EVERY_MS = 1_000;
/** After each delivery of a handler that fails at all of them: ten per second tell whether it still does. */
const FAILING_PAUSE_MS = 100;

/** Runs deliveries of transactional handlers that are due: retries, and what batches left. */
export function runTransactional(workplace: Workplace, handlers: readonly string[], limit: number): Service {
  const { engine, closing } = workplace;
  // Each handler by itself: one that hangs must not slow the retries of the others.
  const loops = handlers.map((handler) =>
    loop(workplace, EVERY_MS, `running due deliveries of ${handler}`, async () => {
      // Asked before: what it fails at from now on shared a transaction, and is more than a few.
      const isFailing = engine.isFailing(handler);
      const ran = await engine.runDueDeliveries(limit, handler);
      if (isFailing && engine.isFailing(handler)) {
        await delay(ran * FAILING_PAUSE_MS, undefined, { signal: closing }).catch(() => undefined);
      }
      return ran > 0;
    }),
  );
  const interrupted = loop(workplace, EVERY_MS, "running an interrupted delivery", () =>
    engine.runInterruptedDelivery(),
  );
  return { done: Promise.all([...loops, interrupted]) };
}
