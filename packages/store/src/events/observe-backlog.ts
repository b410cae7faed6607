import { setTimeout as delay } from "node:timers/promises";
import { detached, instruments } from "@penstock/telemetry";
import type { Store } from "../connection/create-store.ts";
import { type Backlog, readBacklog } from "./read-backlog.ts";

const EVERY_MS = 10_000;
/** An older reading is none: a gauge that repeats it would hide that Postgres is away. */
const STALE_MS = 3 * EVERY_MS;
const STATES = ["pending", "running", "retrying", "dead"];

/**
 * Measures every ten seconds what waits to be done, for metrics, until the signal is aborted. Deliveries of `handlers` are
 * told also where there are none; without handlers no deliveries are told.
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
