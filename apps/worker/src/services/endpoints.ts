import { isEndpointId } from "@penstock/schemas";
import { findDueEndpoints } from "@penstock/store";
import { createBusyness } from "../busyness.ts";
import { createBell } from "../repeat.ts";
import { loop, type Service, type Workplace } from "./service.ts";

/** How often all endpoints are looked at: for retries that are due, and for what other workers recorded. */
const LOOK_AT_ALL_MS = 1_000;
/** Endpoints that are run at once; how much of each, is its own to say. */
const ENDPOINTS_AT_ONCE = 100;

/** Delivers to endpoints, each of which one worker at a time has under a lease. */
export function runEndpoints(workplace: Workplace): Service {
  const { engine, store, log, closing } = workplace;
  const bell = createBell();
  const isBusy = createBusyness();
  const running = new Map<string, Promise<void>>();
  let kicked = new Set<string>();
  let lookAtAllAt = 0;
  // For one that waits here, or so that a worker that has less to do takes some.
  const shouldYield = (): boolean => running.size === ENDPOINTS_AT_ONCE || isBusy();

  async function startDue(): Promise<void> {
    const isForAll = performance.now() >= lookAtAllAt;
    const free = ENDPOINTS_AT_ONCE - running.size;
    if (free === 0 || (!isForAll && kicked.size === 0)) return;
    const among = isForAll ? null : [...kicked];
    kicked = new Set();
    if (isForAll) lookAtAllAt = performance.now() + LOOK_AT_ALL_MS;
    for (const id of await findDueEndpoints(store, among, free)) if (!running.has(id)) running.set(id, run(id));
  }

  async function run(id: string): Promise<void> {
    try {
      // Of those that wait, the one that was let go longest ago is next.
      if (await engine.runEndpoint(id, closing, shouldYield)) lookAtAllAt = 0;
      // What became due while the run ended was not taken.
      else kicked.add(id);
    } catch (error) {
      if (!closing.aborted) {
        log.error({ endpoint: id, err: error }, "an endpoint could not be delivered to, it is taken up again");
      }
    } finally {
      running.delete(id);
      if (kicked.has(id) || lookAtAllAt === 0) bell.ring();
    }
  }

  const looks = loop(workplace, LOOK_AT_ALL_MS, "delivering to endpoints", startDue, bell);
  return {
    done: looks.then(() => Promise.all(running.values())),
    kick(waiting) {
      const ids = waiting.filter((id) => isEndpointId(id) && !running.has(id));
      for (const id of ids) kicked.add(id);
      if (ids.length > 0) bell.ring();
    },
  };
}
