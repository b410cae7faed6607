import { setTimeout as delay } from "node:timers/promises";
import { loop, type Service, type ServiceContext } from "./service.ts";

const EVERY_MS = 1_000;
/** The pause per delivery of a handler that fails at everything: ten attempts per second probe whether it still does. */
const FAILING_PAUSE_MS = 100;

/** Runs due deliveries of transactional handlers: retries, and deliveries that batches left. */
export function runTransactional(context: ServiceContext, handlers: readonly string[], limit: number): Service {
  const { engine, closing } = context;
  // A loop per handler: a handler that hangs must not slow the retries of others.
  const loops = handlers.map((handler) =>
    loop(context, EVERY_MS, `running due deliveries of ${handler}`, async () => {
      // Asked before the run: deliveries that share a transaction count many failures at once.
      const isFailing = engine.isFailing(handler);
      const ran = await engine.runDueDeliveries(limit, handler);
      if (isFailing && engine.isFailing(handler)) {
        await delay(ran * FAILING_PAUSE_MS, undefined, { signal: closing }).catch(() => undefined);
      }
      return ran > 0;
    }),
  );
  const interrupted = loop(context, EVERY_MS, "running an interrupted delivery", () => engine.runInterruptedDelivery());
  return { done: Promise.all([...loops, interrupted]) };
}
