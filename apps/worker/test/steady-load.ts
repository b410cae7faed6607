import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@penstock/testing";
import { expect } from "vitest";
import type { Workplace } from "./worker-under-test.ts";

const BATCHES_PER_SECOND = 10;

/** Events that come at a steady rate whatever happens, as providers send them. */
export interface SteadyLoad {
  /** Stops it, and resolves once every event that was accepted has taken effect, once. */
  stop(): Promise<void>;
  /**
   * How long after a moment, by the clock of Postgres, the backlog was back to normal for good, in seconds: less than a second's
   * worth of events waited, and none for longer than two seconds.
   */
  secondsToRecover(since: Date): Promise<number>;
}

/** Sends messages to a workplace with the handler of `steady/penstock.config.ts`. */
export function startSteadyLoad(workplace: Workplace, perSecond: number): SteadyLoad {
  const stopped = new AbortController();
  const orders = Array.from({ length: perSecond / BATCHES_PER_SECOND }, () => "hello");
  let accepted = 0;
  const sending = (async () => {
    const beganAt = performance.now();
    const under = new Set<Promise<void>>();
    for (let batch = 1; !stopped.signal.aborted; batch++) {
      // With Postgres away nothing is accepted, with the queue away it has no job yet.
      const one = workplace.accept(orders).then((count) => void (accepted += count));
      under.add(one);
      void one.finally(() => under.delete(one));
      await delay(Math.max(0, beganAt + (batch * 1_000) / BATCHES_PER_SECOND - performance.now()));
    }
    await Promise.all(under);
  })();

  /** When each event was accepted and when it had taken effect, in milliseconds. */
  async function lives(): Promise<{ from: number; to: number }[]> {
    const { rows } = await workplace.store.pool.query<{ from: Date; to: Date }>(
      "SELECT e.received_at AS from, f.at AS to FROM penstock.events e JOIN rows.effects f USING (event_id)",
    );
    return rows.map(({ from, to }) => ({ from: from.getTime(), to: to.getTime() }));
  }

  /** What waited at each moment at which that changed. */
  async function waits(since: Date): Promise<{ at: number; events: number; oldestMs: number }[]> {
    const all = await lives();
    const last = Math.max(...all.map(({ to }) => to));
    const found = [];
    for (let at = since.getTime(); at <= last; at += 100) {
      const waiting = all.filter(({ from, to }) => from <= at && at < to);
      const oldestMs = waiting.reduce((oldest, { from }) => Math.max(oldest, at - from), 0);
      found.push({ at, events: waiting.length, oldestMs });
    }
    return found;
  }

  return {
    async stop() {
      stopped.abort();
      await sending;
      await eventually(
        async () => {
          const { rows } = await workplace.store.pool.query<{ effects: number; events: number }>(
            "SELECT count(*)::int AS effects, count(DISTINCT event_id)::int AS events FROM rows.effects",
          );
          const { effects = 0, events = 0 } = rows[0] ?? {};
          // More than were accepted where a commit's answer was lost.
          expect(events).toBeGreaterThanOrEqual(accepted);
          expect(effects).toBe(events);
        },
        { timeoutMs: 150_000, intervalMs: 250 },
      );
    },
    async secondsToRecover(since) {
      const found = await waits(since);
      const last = found.findLast(({ events, oldestMs }) => events >= perSecond || oldestMs >= 2_000);
      return last === undefined ? 0 : (last.at - since.getTime()) / 1_000;
    },
  };
}
