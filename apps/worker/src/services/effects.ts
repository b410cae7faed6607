import { setTimeout as delay } from "node:timers/promises";
import type { EffectHandler } from "@penstock/handler-sdk";
import { findDueHandlers } from "@penstock/store";
import { type WakeSignal, createWakeSignal } from "../repeat.ts";
import { loop, type Service, type ServiceContext } from "./service.ts";

/** One look by index for all handlers finds what other workers recorded, and retries. */
const LOOK_EVERY_MS = 200;
const INTERRUPTED_EVERY_MS = 1_000;
/** The pause where no wake signal comes. */
const IDLE_MS = 60_000;

/**
 * Runs deliveries to effect handlers, as many in flight per handler as its concurrency allows. One claim fills all free slots:
 * when a batch of this worker has recorded deliveries, when a slot becomes free and more is due, or after a look.
 */
export function runEffects(context: ServiceContext, effects: readonly EffectHandler[]): Service {
  const wakeSignals = new Map<string, WakeSignal>();
  const wake = (handlers: readonly string[]): void => {
    for (const handler of handlers) wakeSignals.get(handler)?.wake();
  };
  if (effects.length === 0) return { done: Promise.resolve(), wake };
  const loops = effects.map((handler) => {
    const wakeSignal = createWakeSignal();
    wakeSignals.set(handler.name, wakeSignal);
    return runEffect(context, handler, wakeSignal);
  });
  const look = loop(context, LOOK_EVERY_MS, "looking for effects that are due", async () =>
    wake(await findDueHandlers(context.store, [...wakeSignals.keys()])),
  );
  return { done: Promise.all([...loops, look]), wake };
}

async function runEffect(
  { engine, log, closing }: ServiceContext,
  { name, concurrency, lanes }: EffectHandler,
  wakeSignal: WakeSignal,
): Promise<void> {
  const inFlight = new Set<Promise<void>>();
  let mayBeMore = false;

  async function fillSlots(): Promise<void> {
    const free = concurrency - inFlight.size;
    mayBeMore = true;
    if (free === 0) return;
    const { runs, waitMs } = await engine.startEffects(name, free);
    // The next delivery of a lane is due once the head has ended.
    mayBeMore = runs.length === free || (lanes !== null && runs.length > 0);
    for (const run of runs) {
      inFlight.add(run);
      void run.then(() => {
        inFlight.delete(run);
        if (mayBeMore) wakeSignal.wake();
      });
    }
    if (waitMs > 0) {
      await delay(waitMs, undefined, { signal: closing }).catch(() => undefined);
      wakeSignal.wake();
    }
  }

  await Promise.all([
    loop({ log, closing }, IDLE_MS, `running effects of ${name}`, fillSlots, wakeSignal),
    loop({ log, closing }, INTERRUPTED_EVERY_MS, `running an interrupted effect of ${name}`, () =>
      engine.runInterruptedEffect(name),
    ),
  ]);
  await Promise.all(inFlight);
}
