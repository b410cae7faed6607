import { makeEvent } from "@penstock/schemas/fixtures";
import { pauseHandler } from "@penstock/store";
import { addHistory, eventually, startPostgres, startRedis, type TestProcess } from "@penstock/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createOutsideWorld, type OutsideWorld } from "./outside/outside-world.ts";
import plugged from "./outside/penstock.config.ts";
import { createWorkplace, PATIENCE_MS, SOON, type Workplace } from "./worker-under-test.ts";

const configPath = new URL("./outside/penstock.config.ts", import.meta.url).pathname;
const LONG = 300_000;

let outside: OutsideWorld;
beforeEach(async () => {
  outside = await createOutsideWorld();
  return () => outside.close();
});

const soon = { timeoutMs: PATIENCE_MS, intervalMs: 100 };

// The queue carries batches only, so one backend will do.
describe("effect handlers", () => {
  let workplace: Workplace;
  let store: Workplace["store"];
  beforeEach(async () => {
    workplace = await createWorkplace({ kind: "postgres", template: "effects", plugged, configPath });
    ({ store } = workplace);
  });
  afterEach(() => workplace.close());

  const start = (extra: Record<string, string> = {}): Promise<TestProcess> =>
    workplace.start({ OUTSIDE_URL: outside.url, ...extra });

  const uncounted = async (): Promise<void> => {
    const { rows } = await store.pool.query("SELECT DISTINCT attempts, interruptions FROM penstock.deliveries");
    expect(rows).toEqual([{ attempts: 1, interruptions: 0 }]);
    expect((await store.pool.query("SELECT FROM penstock.attempts")).rowCount).toBe(0);
  };

  const allDone = (ids: readonly string[]) => async () => {
    expect(await workplace.states()).toEqual(
      ["mail", "notify", "slow"].map((handler) => `${handler} succeeded ${ids.length}`),
    );
  };

  test(
    "run what a batch recorded, each event once",
    async () => {
      await start();
      const ids = await workplace.add(["hello", "hello", "hello"]);
      await eventually(allDone(ids), soon);
      for (const handler of ["mail", "notify"]) expect(outside.toldBy(handler).toSorted()).toEqual(ids.toSorted());
      await uncounted();
    },
    LONG,
  );

  test(
    "are run by the workers that are told to, whoever processed the batch",
    async () => {
      await start({ WORKER_HANDLERS: "mail" });
      const ids = await workplace.add(["hello"]);
      await eventually(() => expect(outside.toldBy("mail")).toEqual(ids), soon);
      await eventually(async () => {
        expect(await workplace.states()).toEqual(["mail succeeded 1", "notify pending 1", "slow succeeded 1"]);
      }, soon);
      await start({ WORKER_HANDLERS: "notify" });
      await eventually(allDone(ids), soon);
    },
    LONG,
  );

  test(
    "that are paused start nothing, while the others go on, and catch up afterwards",
    async () => {
      await start();
      await pauseHandler(store, "mail", true, "test");
      await pauseHandler(store, "slow", true, "test");
      const ids = await workplace.add(["hello", "hello"]);
      await eventually(async () => {
        expect(await workplace.states()).toEqual(["mail pending 2", "notify succeeded 2", "slow pending 2"]);
      }, soon);
      await pauseHandler(store, "mail", false, "test");
      await pauseHandler(store, "slow", false, "test");
      await eventually(allDone(ids), soon);
      expect(outside.toldBy("mail").toSorted()).toEqual(ids.toSorted());
    },
    LONG,
  );

  test(
    "end what they do when their worker is told to stop, as long as that takes no longer than it may",
    async () => {
      outside.hold("notify");
      const worker = await start();
      const ids = await workplace.add(["hello"]);
      await eventually(() => expect(outside.toldBy("notify")).toEqual(ids), soon);
      await eventually(async () => {
        expect(await workplace.states()).toEqual(["mail succeeded 1", "notify running 1", "slow succeeded 1"]);
      }, soon);
      worker.kill("SIGTERM");
      await worker.waitForLine(/"msg":"stopping"/);
      outside.release();
      expect(await worker.exited).toEqual({ code: 0, signal: null });
      await allDone(ids)();
      await uncounted();
    },
    LONG,
  );

  test(
    "are cut off by a stop that is out of patience, and what they did not end is handed back uncounted",
    async () => {
      outside.hold("notify");
      const worker = await start({ SHUTDOWN_MS: "200" });
      const ids = await workplace.add(["hello"]);
      await eventually(() => expect(outside.toldBy("notify")).toEqual(ids), soon);
      await eventually(async () => expect(await workplace.states()).toContain("mail succeeded 1"), soon);
      worker.kill("SIGTERM");
      expect(await worker.exited).toEqual({ code: 0, signal: null });
      expect(await workplace.states()).toEqual(["mail succeeded 1", "notify pending 1", "slow succeeded 1"]);
      outside.release();
      await start();
      await eventually(allDone(ids), soon);
      await uncounted();
    },
    LONG,
  );

  test(
    "lose no delivery when workers are killed at random moments, and each did its effect on record once",
    async () => {
      const ids: string[] = [];
      const workers = await Promise.all([start(SOON), start(SOON)]);
      for (let kill = 0; kill < 6; kill++) {
        ids.push(...(await workplace.add(Array.from({ length: 40 }, () => "hello"))));
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500));
        const doomed = workers.shift()!;
        doomed.kill();
        await doomed.exited;
        // Leases of a minute and a half, of killed workers and, too early, of the other: at most twice for one delivery.
        if (kill === 2 || kill === 4)
          await store.pool.query("UPDATE penstock.deliveries SET lease_until = now() WHERE state = 'running'");
        workers.push(await start(SOON));
      }
      await eventually(async () => {
        const { rows } = await store.pool.query(
          "SELECT FROM penstock.deliveries WHERE state IN ('pending', 'retrying')",
        );
        expect(rows).toEqual([]);
        expect((await store.pool.query("SELECT FROM penstock.pending")).rowCount).toBe(0);
      }, soon);
      await store.pool.query("UPDATE penstock.deliveries SET lease_until = now() WHERE state = 'running'");
      await eventually(allDone(ids), soon);
      const { rows } = await store.pool.query<{ subscriber: string; n: number }>(
        "SELECT subscriber, count(*)::int AS n FROM penstock.effects GROUP BY 1 ORDER BY 1",
      );
      expect(rows).toEqual(["mail", "notify"].map((subscriber) => ({ subscriber, n: ids.length })));
      for (const handler of ["mail", "notify"]) {
        const calls = outside.calls.filter((call) => call.handler === handler);
        expect(new Set(calls.map(({ eventId }) => eventId))).toEqual(new Set(ids));
        // Whoever was told twice could know it.
        expect(new Set(calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(ids.length);
      }
    },
    LONG,
  );

  test(
    "take no slot of each other, and no more than they have slots for, however many deliveries of one wait",
    async () => {
      outside.hold("mail");
      const [first] = await workplace.add(["hello"]);
      await Promise.all([start(), start()]);
      await eventually(() => expect(outside.toldBy("notify")).toEqual([first]), soon);
      await addHistory(store.pool, { events: 5_000, like: makeEvent("message.received", { id: "storm" }) });
      await store.pool.query(
        `INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, next_attempt_at)
         SELECT day, seq, 'mail', 'retrying', 1, now() FROM penstock.events WHERE event_id LIKE 'storm%'`,
      );
      await eventually(async () => expect(await workplace.states()).toContain("mail running 4"), soon);
      const others = [];
      for (let turn = 0; turn < 3; turn++) {
        others.push(...(await workplace.add(["hello", "hello"])));
        await eventually(() => expect(outside.toldBy("notify")).toHaveLength(others.length + 1), soon);
        // Two of each worker.
        expect(await workplace.states()).toContain("mail running 4");
      }
      expect(new Set(outside.toldBy("mail")).size).toBeLessThanOrEqual(2 * 2);
    },
    LONG,
  );
});

test(
  "while Postgres is away an effect that has begun ends and is not done again",
  async () => {
    const server = await startPostgres();
    const workplace = await createWorkplace({ kind: "postgres", template: "", plugged, configPath, url: server.url });
    const worker = await workplace.start({ OUTSIDE_URL: outside.url });
    outside.hold("notify");
    const ids = await workplace.add(["hello"]);
    await eventually(() => expect(outside.toldBy("notify")).toEqual(ids), soon);
    await server.stop();
    outside.release();
    await worker.waitForLine(/Postgres cannot go on/, 30_000);
    await server.start();
    await eventually(async () => {
      expect(await workplace.states()).toEqual(["mail succeeded 1", "notify succeeded 1", "slow succeeded 1"]);
    }, soon);
    expect(outside.toldBy("notify")).toEqual(ids);
    const { rows } = await workplace.store.pool.query(
      "SELECT DISTINCT attempts, interruptions FROM penstock.deliveries",
    );
    expect(rows).toEqual([{ attempts: 1, interruptions: 0 }]);
    await workplace.close();
  },
  LONG,
);

test(
  "while Redis is away effects of what was recorded are done all the same",
  async () => {
    const redis = await startRedis();
    const workplace = await createWorkplace({
      kind: "redis",
      template: "effects",
      plugged,
      configPath,
      redisUrl: redis.url,
    });
    const worker = await workplace.start({ OUTSIDE_URL: outside.url });
    const ids = await workplace.add(["slow 2000"]);
    await worker.waitForLine(/"order":"slow"/, 30_000);
    await redis.stop();
    await eventually(async () => {
      expect(await workplace.states()).toEqual(["mail succeeded 1", "notify succeeded 1", "slow succeeded 1"]);
    }, soon);
    expect([outside.toldBy("mail"), outside.toldBy("notify")]).toEqual([ids, ids]);
    const { rows } = await workplace.store.pool.query("SELECT DISTINCT attempts FROM penstock.deliveries");
    expect(rows).toEqual([{ attempts: 1 }]);
    await redis.start();
    await workplace.close();
  },
  LONG,
);
