import { setTimeout as delay } from "node:timers/promises";
import { eventually, startPostgres, startRedis, type ServerUnderTest, type TestProcess } from "@penstock/testing";
import { expect } from "vitest";
import steady from "./steady/penstock.config.ts";
import { createWorkplace, type Workplace } from "./worker-under-test.ts";

const BATCHES_PER_SECOND = 10;
/** How long the backlog has to be normal, so that it is so for good. */
const CALM_MS = 5_000;

/** Two workers that process events as they come, on servers of their own. */
export interface SteadyScene {
  readonly workplace: Workplace;
  readonly workers: readonly TestProcess[];
  readonly postgres: ServerUnderTest;
  readonly redis: ServerUnderTest;
  readonly load: SteadyLoad;
}

/** Starts servers, two workers and a load, and resolves once events are processed as they come. */
export async function startSteadyScene(perSecond: number): Promise<SteadyScene> {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const workplace = await createWorkplace({
    kind: "redis",
    template: "recovery",
    plugged: steady,
    configPath: new URL("./steady/penstock.config.ts", import.meta.url).pathname,
    url: postgres.url,
    redisUrl: redis.url,
  });
  const workers = [await workplace.start(), await workplace.start()];
  const load = startSteadyLoad(workplace, perSecond);
  await load.secondsToRecover();
  return { workplace, workers, postgres, redis, load };
}

/** Events that come at a steady rate whatever happens, as providers send them. */
export interface SteadyLoad {
  /** Stops it, and resolves once every event that was accepted has taken effect, once. */
  stop(): Promise<void>;
  /**
   * Waits until the backlog is back to normal for good, and resolves to how long after the call that was, in seconds. Normal:
   * less than a second's worth of events waits, and none for longer than two seconds.
   */
  secondsToRecover(): Promise<number>;
}

/** Sends messages to a workplace with the handler of `steady/penstock.config.ts`. */
function startSteadyLoad({ store, accept }: Workplace, perSecond: number): SteadyLoad {
  const stopped = new AbortController();
  const orders = Array.from({ length: perSecond / BATCHES_PER_SECOND }, () => "hello");
  let accepted = 0;
  const sending = (async () => {
    const beganAt = performance.now();
    const inFlight = new Set<Promise<void>>();
    for (let batch = 1; !stopped.signal.aborted; batch++) {
      // With Postgres away nothing is accepted, with the queue away it has no job yet.
      const one = accept(orders).then((count) => void (accepted += count));
      inFlight.add(one);
      void one.finally(() => inFlight.delete(one));
      await delay(Math.max(0, beganAt + (batch * 1_000) / BATCHES_PER_SECOND - performance.now()));
    }
    await Promise.all(inFlight);
  })();

  /** Whether the backlog is normal; it is not while Postgres does not tell. */
  async function isNormal(): Promise<boolean> {
    const { rows } = await store.pool
      .query<{ events: number; oldest_ms: number }>(
        `SELECT coalesce(sum(w.events), 0)::int AS events,
                coalesce(extract(epoch FROM clock_timestamp() - min(w.since)) * 1000, 0)::float8 AS oldest_ms
           FROM (SELECT events, accepted_at AS since FROM penstock.pending
                 UNION ALL
                 SELECT 1, received_at FROM penstock.events e
                  WHERE NOT EXISTS (SELECT FROM rows.effects f WHERE f.event_id = e.event_id)) AS w`,
      )
      .catch(() => ({ rows: [] }));
    const [row] = rows;
    return row !== undefined && row.events < perSecond && row.oldest_ms < 2_000;
  }

  return {
    async stop() {
      stopped.abort();
      await sending;
      await eventually(
        async () => {
          const { rows } = await store.pool.query<{ effects: number; events: number }>(
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
    async secondsToRecover() {
      const since = performance.now();
      let normalSince: number | undefined;
      while (normalSince === undefined || performance.now() - normalSince < CALM_MS) {
        if (await isNormal()) normalSince ??= performance.now();
        else normalSince = undefined;
        await delay(250);
      }
      return (normalSince - since) / 1_000;
    },
  };
}
