import { isEndpointId } from "@penstock/schemas";
import { findDueEndpoints } from "@penstock/store";
import { createSaturation } from "../saturation.ts";
import { createWakeSignal } from "../repeat.ts";
import { loop, type Service, type ServiceContext } from "./service.ts";

/** How often the worker looks at all endpoints, for retries that are due and for what other workers recorded. */
const LOOK_AT_ALL_MS = 1_000;
/** Slots: the most endpoints that run at once in this worker. */
const ENDPOINTS_AT_ONCE = 100;

/** Delivers to endpoints. One worker at a time has an endpoint, under a lease. */
export function runEndpoints(context: ServiceContext): Service {
  const { engine, store, log, closing } = context;
  const wakeSignal = createWakeSignal();
  const isSaturated = createSaturation();
  const running = new Map<string, Promise<void>>();
  let woken = new Set<string>();
  let lookAtAllAt = 0;
  // For an endpoint that waits for a slot, or for a worker that has less to do.
  const shouldYield = (): boolean => running.size === ENDPOINTS_AT_ONCE || isSaturated();

  async function startDue(): Promise<void> {
    const isForAll = performance.now() >= lookAtAllAt;
    const free = ENDPOINTS_AT_ONCE - running.size;
    if (free === 0 || (!isForAll && woken.size === 0)) return;
    const among = isForAll ? null : [...woken];
    woken = new Set();
    if (isForAll) lookAtAllAt = performance.now() + LOOK_AT_ALL_MS;
    for (const id of await findDueEndpoints(store, among, free)) if (!running.has(id)) running.set(id, run(id));
  }

  async function run(id: string): Promise<void> {
    try {
      // The endpoint whose lease ended longest ago is next.
      if (await engine.runEndpoint(id, closing, shouldYield)) lookAtAllAt = 0;
      // A delivery that became due while the run ended was not claimed.
      else woken.add(id);
    } catch (error) {
      if (!closing.aborted) {
        log.error({ endpoint: id, err: error }, "an endpoint could not be delivered to, it is taken up again");
      }
    } finally {
      running.delete(id);
      if (woken.has(id) || lookAtAllAt === 0) wakeSignal.wake();
    }
  }

  const looks = loop(context, LOOK_AT_ALL_MS, "delivering to endpoints", startDue, wakeSignal);
  return {
    done: looks.then(() => Promise.all(running.values())),
    wake(waiting) {
      const ids = waiting.filter((id) => isEndpointId(id) && !running.has(id));
      for (const id of ids) woken.add(id);
      if (ids.length > 0) wakeSignal.wake();
    },
  };
}
