import type { PenstockConfig } from "@penstock/handler-sdk";
import { cancelOrphaned, ensurePartitions, markHandlersSeen, observeBacklog } from "@penstock/store";
import { loop, type Service, type ServiceContext } from "./service.ts";

const RECLAIM_EVERY_MS = 5_000;
const WORDS_EVERY_MS = 1_000;
const SEEN_EVERY_MS = 20_000;
const UPKEEP_EVERY_MS = 600_000;

/**
 * Reclaims deliveries of vanished workers, writes what searches look at, marks the handlers of this worker as seen, makes
 * partitions, and measures the backlog.
 */
export function runUpkeep(
  context: ServiceContext,
  handlers: PenstockConfig["handlers"],
  writeWords: () => Promise<void>,
): Service {
  const { engine, store, log, closing } = context;
  const subscriptions = handlers.map(({ name, on }) => ({ name, types: on }));
  observeBacklog(
    store,
    handlers.map(({ name }) => name),
    closing,
    (error) => log.warn({ err: error }, "what waits could not be measured, it is tried again"),
  );
  const loops = [
    loop(context, RECLAIM_EVERY_MS, "taking back deliveries", async () => {
      const { retrying, dead, more } = await engine.reclaimDeliveries();
      if (retrying > 0) log.warn({ retrying }, "deliveries of lost workers were taken back");
      for (const { seq, handler } of dead) {
        log.error({ seq, handler }, "the workers that ran this delivery vanished: it is a dead letter now");
      }
      return more;
    }),
    loop(context, WORDS_EVERY_MS, "writing what searches look at", writeWords),
    loop(context, SEEN_EVERY_MS, "telling which handlers there are", () => markHandlersSeen(store, subscriptions)),
    loop(context, UPKEEP_EVERY_MS, "upkeep", async () => {
      await ensurePartitions(store);
      const cancelled = await cancelOrphaned(store);
      if (cancelled > 0) log.info({ cancelled }, "deliveries to endpoints that are gone were cancelled");
    }),
  ];
  return { done: Promise.all(loops) };
}
