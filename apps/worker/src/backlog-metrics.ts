import { readBacklog, type Store } from "@penstock/store";
import { instruments } from "@penstock/telemetry";

const STATES = ["pending", "running", "retrying", "dead"];

/** Makes the measurement of what waits to be done. Handlers of which nothing waits are told with 0. */
export function createBacklogMetrics(store: Store, handlers: readonly string[]): () => Promise<void> {
  const known = new Map<string, { handler: string; state: string }>();
  for (const handler of handlers) for (const state of STATES) known.set(`${handler} ${state}`, { handler, state });
  return async function measureBacklog() {
    const { pendingEvents, oldestPendingSeconds, deliveries } = await readBacklog(store);
    instruments.pendingEvents().record(pendingEvents);
    instruments.pendingAge().record(oldestPendingSeconds);
    const counts = new Map(deliveries.map(({ subscriber, state, count }) => [`${subscriber} ${state}`, count]));
    for (const { subscriber, state } of deliveries) known.set(`${subscriber} ${state}`, { handler: subscriber, state });
    // A gauge keeps its last value: what is gone has to be told, too.
    for (const [key, attributes] of known) instruments.deliveries().record(counts.get(key) ?? 0, attributes);
  };
}
