import { setTimeout as delay } from "node:timers/promises";
import type { EffectHandler } from "@penstock/handler-sdk";
import { findDueHandlers } from "@penstock/store";
import { type Bell, createBell } from "../repeat.ts";
import { loop, type Service, type Workplace } from "./service.ts";

/** One look by index for all handlers: what other workers recorded, and retries, are found by it. */
const LOOK_EVERY_MS = 200;
const INTERRUPTED_EVERY_MS = 1_000;
/** A slot that is free is filled at once; this is for a bell that nobody rings. */
const IDLE_MS = 60_000;

/**
 * Runs deliveries to effect handlers: of each as many at once as its concurrency allows. One claim fills all slots that are
 * free, when a batch of this worker has recorded some, when a slot becomes free and more is due, or after a look.
 */
export function runEffects(workplace: Workplace, effects: readonly EffectHandler[]): Service {
  const bells = new Map<string, Bell>();
  const kick = (handlers: readonly string[]): void => {
    for (const handler of handlers) bells.get(handler)?.ring();
  };
  if (effects.length === 0) return { done: Promise.resolve(), kick };
  const loops = effects.map((handler) => {
    const bell = createBell();
    bells.set(handler.name, bell);
    return runEffect(workplace, handler, bell);
  });
  const look = loop(workplace, LOOK_EVERY_MS, "looking for effects that are due", async () =>
    kick(await findDueHandlers(workplace.store, [...bells.keys()])),
  );
  return { done: Promise.all([...loops, look]), kick };
}

async function runEffect(
  { engine, log, closing }: Workplace,
  { name, concurrency, lanes }: EffectHandler,
  bell: Bell,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  let mayBeMore = false;

  async function fillSlots(): Promise<void> {
    const free = concurrency - underWay.size;
    mayBeMore = true;
    if (free === 0) return;
    const { runs, waitMs } = await engine.startEffects(name, free);
    // Of a lane the next is due once the one before has ended.
    mayBeMore = runs.length === free || (lanes !== null && runs.length > 0);
    for (const run of runs) {
      underWay.add(run);
      void run.then(() => {
        underWay.delete(run);
        if (mayBeMore) bell.ring();
      });
    }
    if (waitMs > 0) {
      await delay(waitMs, undefined, { signal: closing }).catch(() => undefined);
      bell.ring();
    }
  }

  await Promise.all([
    loop({ log, closing }, IDLE_MS, `running effects of ${name}`, fillSlots, bell),
    loop({ log, closing }, INTERRUPTED_EVERY_MS, `running an interrupted effect of ${name}`, () =>
      engine.runInterruptedEffect(name),
    ),
  ]);
  await Promise.all(underWay);
}
