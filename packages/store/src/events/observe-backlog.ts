import { setTimeout as delay } from "node:timers/promises";
import { detached, instruments } from "@penstock/telemetry";
import type { Store } from "../connection/create-store.ts";
import { type Backlog, readBacklog } from "./read-backlog.ts";

const EVERY_MS = 10_000;
/** An older reading is not reported: a gauge that repeats it would hide an outage of Postgres. */
const STALE_MS = 3 * EVERY_MS;
const STATES = ["pending", "running", "retrying", "dead"];

/**
 * Measures the backlog every ten seconds, for metrics, until the signal is aborted. Counts of `handlers` are reported also where
 * they are 0; without handlers, no deliveries are counted.
 */
export function observeBacklog(
  store: Store,
  handlers: readonly string[] | null,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): void {
  let last: { readonly backlog: Backlog; readonly at: number } | undefined;
  const current = (): Backlog | undefined =>
    last !== undefined && performance.now() - last.at < STALE_MS ? last.backlog : undefined;

  instruments.pendingEvents().addCallback((result) => {
    const backlog = current();
    if (backlog) result.observe(backlog.pendingEvents);
  });
  instruments.pendingAge().addCallback((result) => {
    const backlog = current();
    if (backlog) result.observe(backlog.oldestPendingSeconds);
  });
  if (handlers !== null) {
    instruments.deliveries().addCallback((result) => {
      const backlog = current();
      if (backlog === undefined) return;
      const counts = new Map(
        backlog.deliveries.map(({ subscriber, state, count }) => [`${subscriber} ${state}`, count]),
      );
      const names = new Set([...handlers, ...backlog.deliveries.map(({ subscriber }) => subscriber)]);
      for (const handler of names) {
        for (const state of STATES) result.observe(counts.get(`${handler} ${state}`) ?? 0, { handler, state });
      }
    });
  }

  async function measure(): Promise<void> {
    while (!signal.aborted) {
      try {
        last = { backlog: await readBacklog(store), at: performance.now() };
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      await delay(EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
  detached(measure).catch(onError);
}
