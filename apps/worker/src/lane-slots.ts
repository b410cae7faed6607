import type { Handler } from "@penstock/handler-sdk";

/** Lanes that run at once in one worker, over all transactional handlers that have lanes; two of each at least. */
const LANES_AT_ONCE = 10;

/** How many lanes of each transactional handler run at once in this worker. */
export function laneSlots(handlers: readonly Handler[]): Map<string, number> {
  const transactional = handlers.filter(({ kind }) => kind === "transactional");
  const share = Math.floor(LANES_AT_ONCE / transactional.filter(({ lanes }) => lanes !== null).length);
  // Also where there are no lanes any more: what was recorded in them before is still to be run.
  return new Map(transactional.map(({ name, lanes }) => [name, lanes === null ? 1 : Math.max(2, share)]));
}
