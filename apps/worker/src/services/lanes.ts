import type { Handler } from "@penstock/handler-sdk";
import { createBell } from "../repeat.ts";
import { loop, type Service, type Workplace } from "./service.ts";

const EVERY_MS = 1_000;
/** Lanes that run at once in one worker, over all transactional handlers that have lanes; two of each at least. */
const LANES_AT_ONCE = 10;

/** How many lanes of each transactional handler run at once in this worker. */
export function laneSlots(handlers: readonly Handler[]): Map<string, number> {
  const transactional = handlers.filter(({ kind }) => kind === "transactional");
  const share = Math.floor(LANES_AT_ONCE / transactional.filter(({ lanes }) => lanes !== null).length);
  // Also where there are no lanes any more: what was recorded in them before is still to be run.
  return new Map(transactional.map(({ name, lanes }) => [name, lanes === null ? 1 : Math.max(2, share)]));
}

/** Runs heads of lanes of transactional handlers. One loop for each that may run at once: one that hangs stops none of the others. */
export function runLanes(workplace: Workplace, handlers: readonly Handler[]): Service {
  const slots = Array.from(laneSlots(handlers), ([handler, count]) =>
    Array.from({ length: count }, () => ({ handler, bell: createBell() })),
  ).flat();
  const loops = slots.map(({ handler, bell }) =>
    loop(workplace, EVERY_MS, `running lanes of ${handler}`, () => workplace.engine.runLaneHead(handler), bell),
  );
  return {
    done: Promise.all(loops),
    kick(waiting) {
      for (const { handler, bell } of slots) if (waiting.includes(handler)) bell.ring();
    },
  };
}
