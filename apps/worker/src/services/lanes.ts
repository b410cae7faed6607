import type { Handler } from "@penstock/handler-sdk";
import { createWakeSignal } from "../repeat.ts";
import { loop, type Service, type ServiceContext } from "./service.ts";

const EVERY_MS = 1_000;
/** Lanes that run at once in one worker, over all transactional handlers with lanes; at least two per handler. */
const LANES_AT_ONCE = 10;

/** How many lanes run at once in this worker, by transactional handler. */
export function laneSlots(handlers: readonly Handler[]): Map<string, number> {
  const transactional = handlers.filter(({ kind }) => kind === "transactional");
  const share = Math.floor(LANES_AT_ONCE / transactional.filter(({ lanes }) => lanes !== null).length);
  // One slot for a handler without lanes: deliveries that were recorded in lanes before are still to be run.
  return new Map(transactional.map(({ name, lanes }) => [name, lanes === null ? 1 : Math.max(2, share)]));
}

/** Runs heads of lanes of transactional handlers, one loop per slot: a head that hangs stops no other. */
export function runLanes(context: ServiceContext, handlers: readonly Handler[]): Service {
  const slots = Array.from(laneSlots(handlers), ([handler, count]) =>
    Array.from({ length: count }, () => ({ handler, wakeSignal: createWakeSignal() })),
  ).flat();
  const loops = slots.map(({ handler, wakeSignal }) =>
    loop(context, EVERY_MS, `running lanes of ${handler}`, () => context.engine.runLaneHead(handler), wakeSignal),
  );
  return {
    done: Promise.all(loops),
    wake(waiting) {
      for (const { handler, wakeSignal } of slots) if (waiting.includes(handler)) wakeSignal.wake();
    },
  };
}
