import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { openQueue } from "@penstock/queue";
import { createStore } from "@penstock/store";
import { createTestDatabase, eventually, startProcess, startRedis } from "@penstock/testing";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import trial from "./trial/penstock.config.ts";
import {
  addTo,
  createWorkplace,
  main,
  migrateFor,
  openPool,
  PATIENCE_MS,
  SOON,
  type Workplace,
} from "./worker-under-test.ts";

const configPath = new URL("./trial/penstock.config.ts", import.meta.url).pathname;
const migrateForTests = migrateFor(trial);

/** The environment of a worker whose host's clock is so many hours ahead, or behind. */
const clockOff = (hours: number): Record<string, string> => ({
  NODE_OPTIONS: `--import=${new URL("./fixtures/shift-clock.ts", import.meta.url).href}`,
  CLOCK_OFF_MS: String(hours * 3_600_000),
});

describe.each(["postgres", "redis"] as const)("a worker with its queue on %s", (kind) => {
  let workplace: Workplace;
  let start: Workplace["start"];
  let add: Workplace["add"];
  let states: Workplace["states"];

  beforeEach(async () => {
    workplace = await createWorkplace({ kind, template: "worker", plugged: trial, configPath });
    ({ start, add, states } = workplace);
  });
  afterEach(() => workplace.close());

  /** Runs workers one after the other, as a supervisor does, until `done` holds. */
  async function superviseUntil(done: () => Promise<void>, extra: Record<string, string>): Promise<number> {
    let deaths = 0;
    let over = false;
    const supervising = (async () => {
      while (!over) {
        const worker = await start(extra);
        await Promise.race([worker.exited, new Promise<void>((r) => stopped.push(r))]);
        if (!over) deaths++;
        worker.kill();
        await worker.exited;
        // Its leases would run out in a minute.
        await workplace.store.pool.query("UPDATE penstock.deliveries SET lease_until = now() WHERE state = 'running'");
      }
    })();
    const stopped: (() => void)[] = [];
    await eventually(done, { timeoutMs: PATIENCE_MS, intervalMs: 100 }).finally(() => {
      over = true;
      for (const stop of stopped) stop();
    });
    await supervising;
    return deaths;
  }

  /** Event ids with an effect in a handler's table, with repetitions if there are any. */
  async function effectsOf(schema: "a_obedient" | "b_plain"): Promise<string[]> {
    const { rows } = await workplace.store.pool.query<{ event_id: string }>(
      `SELECT event_id FROM ${schema}.effects ORDER BY 1`,
    );
    return rows.map(({ event_id }) => event_id);
  }

  const allDone = (expected: readonly string[]) => async () => {
    expect(await effectsOf("a_obedient")).toEqual(expected.toSorted());
    expect(await effectsOf("b_plain")).toEqual(expected.toSorted());
  };

  test("processes what the queue points to, and stops in order on SIGTERM with work under way", async () => {
    const worker = await start();
    const ids = await add(["slow 500", "hello"]);
    await worker.waitForLine(/"order":"slow"/, 30_000);
    worker.kill("SIGTERM");
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    await allDone(ids)();
  });

  test("that was killed in the middle of a batch is replaced, and each event takes effect once", async () => {
    const first = await start(SOON);
    const ids = await add(["hello", "slow 5000", "hello"]);
    await first.waitForLine(/"order":"slow"/, 30_000);
    first.kill("SIGKILL");
    await first.exited;
    await start(SOON);
    await eventually(allDone(ids), { timeoutMs: PATIENCE_MS });
  }, 200_000);

  test("that is frozen in the middle of a batch is replaced, and writes nothing when it goes on", async () => {
    const frozen = await start(SOON);
    const ids = await add(["slow 8000", "hello"]);
    await frozen.waitForLine(/"order":"slow"/, 30_000);
    frozen.kill("SIGSTOP");
    await start(SOON);
    // Postgres ends the frozen one's transaction in its own time; here it is not waited for.
    await workplace.store.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction'`,
    );
    await eventually(allDone(ids), { timeoutMs: PATIENCE_MS });
    frozen.kill("SIGCONT");
    await frozen.waitForLine(/"msg":"(?!handling|worker ready)/, 30_000);
    await allDone(ids)();
  }, 200_000);

  const ENDS = ["ends the process", "exit", SOON] as const;
  const LOOPS = ["never gives the event loop back", "loop", { ...SOON, WATCHDOG_MS: "5000" }] as const;
  // Either is a worker that died, as the queue sees it.
  test.each(kind === "postgres" ? [ENDS, LOOPS] : [ENDS])(
    "meets an event whose handler %s: a dead letter of that handler, and nothing else suffers",
    async (_, order, extra) => {
      const ids = await add(["hello", order, "hello"]);
      const deaths = await superviseUntil(async () => {
        expect(await states()).toEqual(["a-obedient dead 1", "a-obedient succeeded 2", "b-plain succeeded 3"]);
      }, extra);
      expect(deaths).toBeLessThanOrEqual(5);
      expect(await effectsOf("b_plain")).toEqual(ids.toSorted());
      expect(await effectsOf("a_obedient")).toHaveLength(2);
    },
    240_000,
  );

  test("finds what the queue never got, and what the queue lost", async () => {
    const never = await add(["hello"], { enqueue: false });
    const lost = await add(["hello", "hello"]);
    await workplace.loseQueue();
    await start();
    await eventually(allDone([...never, ...lost]), { timeoutMs: 40_000 });
  });
});

// BullMQ on Postgres keeps the time until which a job is somebody's, and when it last looked for lost ones, by hosts' clocks.
test.each([
  { whose: "the one that is killed", is: "an hour ahead", killed: 1, next: 0 },
  { whose: "the one that is left", is: "an hour behind", killed: 0, next: -1 },
])(
  "what a killed worker had begun is done by another although the clock of $whose is $is, and nothing else comes in",
  async (hours) => {
    const workplace = await createWorkplace({ kind: "postgres", template: "worker", plugged: trial, configPath });
    const killed = await workplace.start(clockOff(hours.killed));
    await workplace.add(["slow 4000"]);
    await killed.waitForLine(/"order":"slow"/, 30_000);
    killed.kill("SIGKILL");
    await killed.exited;
    await workplace.start(clockOff(hours.next));
    await eventually(
      async () => expect(await workplace.states()).toEqual(["a-obedient succeeded 1", "b-plain succeeded 1"]),
      { timeoutMs: PATIENCE_MS },
    );
    await workplace.close();
  },
  240_000,
);

test("a worker meets a retry that ends the process: a dead letter, and none of those beside it", async () => {
  const workplace = await createWorkplace({ kind: "postgres", template: "worker", plugged: trial, configPath });
  const { add, start, states } = workplace;
  await add(["retry exit", ...Array.from({ length: 8 }, () => "retry slow 300")]);
  for (let death = 1; death <= 3; death++) {
    const worker = await start();
    expect((await worker.exited).code).toBe(1);
    // Its leases would run out in a minute.
    await workplace.store.pool.query("UPDATE penstock.deliveries SET lease_until = now() WHERE state = 'running'");
  }
  await start();
  await eventually(
    async () => expect(await states()).toEqual(["a-obedient dead 1", "a-obedient succeeded 8", "b-plain succeeded 9"]),
    { timeoutMs: PATIENCE_MS },
  );
  await workplace.close();
}, 240_000);

test("a backlog at which a handler fails for a while is gone on with soon, and not after a pause for each that waits", async () => {
  const workplace = await createWorkplace({ kind: "postgres", template: "worker", plugged: trial, configPath });
  const { add, start, states, store } = workplace;
  await start();
  await store.pool.query("UPDATE penstock.handlers SET paused_at = now() WHERE name = 'a-obedient'");
  // One transaction's worth, of which 20 fail in a row, and once more as the first of all.
  await add(Array.from({ length: 200 }, () => "later 21"));
  await eventually(async () => expect(await states()).toEqual(["a-obedient pending 200", "b-plain succeeded 200"]));
  await store.pool.query("UPDATE penstock.handlers SET paused_at = NULL");
  await eventually(async () => expect(await states()).toEqual(["a-obedient succeeded 200", "b-plain succeeded 200"]), {
    timeoutMs: PATIENCE_MS,
  });
  // A pause for each of the 200 was 20 s.
  const { rows } = await store.pool.query<{ ms: number }>(
    `SELECT extract(epoch FROM min(d.changed_at) - min(a.ended_at))::float8 * 1000 AS ms
       FROM penstock.deliveries d, penstock.attempts a WHERE d.subscriber = 'a-obedient' AND a.outcome = 'failed'`,
  );
  expect(rows[0]?.ms).toBeLessThan(15_000);
  await workplace.close();
}, 240_000);

test("a worker whose Redis goes away says so, briefly, and goes on when it is back", async () => {
  const { url } = await createTestDatabase({ template: "worker", migrate: migrateForTests });
  const redis = await startRedis();
  const env = { DATABASE_URL: url, QUEUE_URL: redis.url, PENSTOCK_CONFIG: configPath, LOG_LEVEL: "info" };
  const worker = startProcess({ file: main, env, name: "worker" });
  await worker.waitForLine(/worker ready/, 60_000);
  const before = worker.stdout.length + worker.stderr.length;
  await redis.stop();
  await worker.waitForLine(/the queue reported an error/, 30_000);
  // Whoever listens there now hears how often the worker tries.
  let tries = 0;
  const closed = createServer((socket) => {
    tries++;
    socket.on("error", () => undefined).destroy();
  }).listen(redis.port, "127.0.0.1");
  onTestFinished(() => void closed.close());
  await eventually(() => expect(tries).toBeGreaterThan(20), { timeoutMs: PATIENCE_MS });
  await new Promise((resolve) => closed.close(resolve));
  const said = [...worker.stdout, ...worker.stderr];
  expect(said.length - before).toBeLessThan(10);
  expect(said.join("\n")).not.toMatch(/"stack"|\n\s+at /);
  await redis.start();
}, 240_000);

test("a worker that is out of patience at its stop says which batch it leaves, and leaves it untouched", async () => {
  const { url } = await createTestDatabase({ template: "worker", migrate: migrateForTests });
  const store = createStore({ connectionString: url, applicationName: "worker-test", maxConnections: 2 });
  const queue = openQueue({ kind: "postgres", url }, openPool);
  await eventually(() => queue.ping());
  const env = { DATABASE_URL: url, PENSTOCK_CONFIG: configPath, LOG_LEVEL: "info", SHUTDOWN_MS: "200" };
  const worker = startProcess({ file: main, env, name: "worker" });
  await worker.waitForLine(/worker ready/, 60_000);
  const { batch } = await addTo(store, ["slow 9000"]);
  await queue.add([[batch]]);
  await worker.waitForLine(/"order":"slow"/, 30_000);
  worker.kill("SIGTERM");
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  expect(worker.stdout.join("\n")).toMatch(new RegExp(`"batches":\\[${batch}\\].*batches were not processed`));
  expect((await store.pool.query("SELECT batch::int FROM penstock.pending")).rows).toEqual([{ batch }]);
  for (const table of ["event_keys", "events", "deliveries"]) {
    expect((await store.pool.query(`SELECT FROM penstock.${table}`)).rowCount).toBe(0);
  }
  await queue.close();
  await store.close();
}, 150_000);

test.runIf(existsSync("/proc/self/status"))(
  "events of 25 MiB are processed one after the other, in bounded memory",
  async () => {
    const COUNT = 12;
    const workplace = await createWorkplace({ kind: "redis", template: "worker", plugged: trial, configPath });
    const worker = await workplace.start();
    const peakMiB = async (): Promise<number> => {
      const status = await readFile(`/proc/${worker.pid}/status`, "utf8");
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
    };
    const before = await peakMiB();
    const blanks = Buffer.alloc(25 * 1_048_576 - 2_000, " ");
    const batches: number[] = [];
    for (let nth = 0; nth < COUNT; nth++) batches.push((await addTo(workplace.store, ["plain"], blanks)).batch);
    await workplace.queue.add(batches.map((batch) => [batch]));
    await eventually(
      async () =>
        expect(await workplace.states()).toEqual([`a-obedient succeeded ${COUNT}`, `b-plain succeeded ${COUNT}`]),
      { timeoutMs: PATIENCE_MS },
    );
    // Of twelve bodies two are under way at once, each as text, as bytes and as JSON.
    expect((await peakMiB()) - before).toBeLessThan(COUNT * 25 * 2);
    await workplace.close();
  },
  240_000,
);

describe("a worker that cannot start says why and ends", () => {
  test.each([
    { why: "no database is named", env: {}, says: /DATABASE_URL/ },
    {
      why: "several variables are wrong",
      env: { DATABASE_URL: "mysql://x", WORKER_CONCURRENCY: "many" },
      says: /DATABASE_URL[\s\S]*WORKER_CONCURRENCY/,
    },
    {
      why: "the configuration is not there",
      env: { DATABASE_URL: "postgres://localhost:1/x", PENSTOCK_CONFIG: "/nowhere/penstock.config.ts" },
      says: /nowhere/,
    },
    {
      why: "Postgres is not there",
      env: { DATABASE_URL: "postgres://127.0.0.1:1/x", PENSTOCK_CONFIG: configPath },
      says: /Postgres is not available/,
    },
  ])("when $why", async ({ env, says }) => {
    const worker = startProcess({ file: main, env, name: "worker" });
    expect((await worker.exited).code).toBe(1);
    expect(worker.stderr.join("\n")).toMatch(says);
    expect(worker.stderr.join("\n")).not.toMatch(/mysql|many|\n\s+at /);
  });

  test.each([
    ["mail,nobody", /WORKER_HANDLERS names nobody, which is no effect handler .*; it has mail, notify/],
    ["slow", /WORKER_HANDLERS names slow, which is no effect handler/],
    ["Mail", /WORKER_HANDLERS must be the names of effect handlers/],
  ])("when it is told to run %s, which it cannot", async (names, says) => {
    const path = new URL("./outside/penstock.config.ts", import.meta.url).pathname;
    const env = { DATABASE_URL: "postgres://127.0.0.1:1/x", PENSTOCK_CONFIG: path, WORKER_HANDLERS: names };
    const worker = startProcess({ file: main, env, name: "worker" });
    expect((await worker.exited).code).toBe(1);
    expect(worker.stderr.join("\n")).toMatch(says);
    expect(worker.stderr.join("\n")).not.toMatch(/\n\s+at /);
  });

  test("when the database is behind", async () => {
    const { url } = await createTestDatabase();
    const worker = startProcess({ file: main, env: { DATABASE_URL: url, PENSTOCK_CONFIG: configPath } });
    expect((await worker.exited).code).toBe(1);
    expect(worker.stderr.join("\n")).toMatch(/behind by \d+ migration.*penstock\/0001-baseline.*penstock migrate/);
  });
});
