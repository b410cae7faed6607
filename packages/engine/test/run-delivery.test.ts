import { randomBytes } from "node:crypto";
import { PermanentError } from "@penstock/handler-sdk";
import { randomId } from "@penstock/schemas/fixtures";
import { createEngineStore, createStore, type Store } from "@penstock/store";
import { eventually } from "@penstock/testing";
import { beforeEach, describe, expect, test } from "vitest";
import {
  addBatch,
  deliveries,
  effectHandler,
  effects,
  engineOn,
  openTestStore,
  register,
  rows,
} from "./engine-under-test.ts";

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

const dueNow = () =>
  store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now() WHERE state = 'retrying'");
const attempts = () =>
  rows(store, "SELECT attempt, outcome, error_message FROM penstock.attempts ORDER BY started_at, attempt");

/** Fails its first `failures` tries of an event. */
function flaky(failures: number, error: () => Error = () => new Error("not yet")) {
  const seen: { attempt: number; key: string }[] = [];
  const handler = effectHandler({
    async handle(event, { tx, attempt, idempotencyKey }) {
      seen.push({ attempt, key: idempotencyKey });
      await tx.insertInto("effects").values({ handler: "flaky", event_id: event.id }).execute();
      if (attempt <= failures) throw error();
    },
  });
  return { handler, seen };
}

async function processOne(handler: ReturnType<typeof effectHandler>) {
  const engine = engineOn(store, [handler], { afterOutageMs: 0 });
  const batch = await addBatch(store, [{ id: "evt_1" }]);
  await engine.processBatch({ batches: [batch], startedBefore: 0 });
  return engine;
}

test("a delivery is its worker's for its handler's time-out and 10 s, and for longer while its handler runs", async () => {
  const { timeoutMs } = effectHandler();
  const engineStore = createEngineStore(store, "test-worker");
  let leaseMs: number | undefined;
  const handler = effectHandler({
    async handle(event, { attempt, tx }) {
      if (attempt === 1) throw new Error("not yet");
      expect(await engineOn(store, [], { afterOutageMs: 0 }).reclaimDeliveries()).toMatchObject({ retrying: 0 });
      await tx.insertInto("effects").values({ handler: "effect", event_id: event.id }).execute();
    },
  });
  await processOne(handler);
  await dueNow();
  // A lease that has run out when the handler starts.
  const claimDeliveries: typeof engineStore.claimDeliveries = (options) => {
    if (!options.interrupted) ({ leaseMs } = options);
    return engineStore.claimDeliveries({ ...options, leaseMs: 0 });
  };
  const engine = engineOn(store, [handler], { store: { ...engineStore, claimDeliveries }, afterOutageMs: 0 });
  expect(await engine.runDueDeliveries(10)).toBe(1);
  expect(await deliveries(store)).toEqual(["evt_1 effect succeeded"]);
  expect(leaseMs).toBe(timeoutMs + 10_000);
});

describe("a delivery that failed", () => {
  test("is tried again when it is due, not before, until it succeeds; each try knows its number and the one key", async () => {
    const { handler, seen } = flaky(2);
    const engine = await processOne(handler);
    await store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now() + interval '1 hour'");
    expect(await engine.runDueDeliveries(10)).toBe(0);
    await dueNow();
    expect(await engine.runDueDeliveries(10)).toBe(1);
    expect(await deliveries(store)).toEqual(["evt_1 effect retrying"]);
    await dueNow();
    expect(await engine.runDueDeliveries(10)).toBe(1);
    expect(await deliveries(store)).toEqual(["evt_1 effect succeeded"]);
    expect(await effects(store)).toEqual(["flaky evt_1"]);
    expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(seen.map(({ key }) => key)).size).toBe(1);
    expect(await attempts()).toEqual([
      { attempt: 1, outcome: "failed", error_message: "not yet" },
      { attempt: 2, outcome: "failed", error_message: "not yet" },
      { attempt: 3, outcome: "succeeded", error_message: null },
    ]);
  });

  test.each([
    { why: "its attempts are used up", error: () => new Error("not yet"), tries: 3 },
    { why: "trying again cannot help", error: () => new PermanentError("deleted"), tries: 1 },
  ])("is a dead letter when $why", async ({ error, tries }) => {
    const engine = await processOne(flaky(99, error).handler);
    for (let turn = 0; turn < 5; turn++) {
      await dueNow();
      await engine.runDueDeliveries(10);
    }
    expect(await deliveries(store)).toEqual(["evt_1 effect dead"]);
    expect(await attempts()).toHaveLength(tries);
    expect(await effects(store)).toEqual([]);
  });

  test("is run once when two workers look at the same moment", async () => {
    const { handler } = flaky(1);
    await processOne(handler);
    await dueNow();
    const engines = [engineOn(store, [handler]), engineOn(store, [handler])];
    const ran = await Promise.all(engines.map((engine) => engine.runDueDeliveries(10)));
    expect(new Set(ran)).toEqual(new Set([0, 1]));
    expect(await effects(store)).toEqual(["flaky evt_1"]);
  });

  test("is not held up by a handler that hangs: each handler's are run by themselves", async () => {
    const later = (name: string, handle: () => Promise<void>) =>
      effectHandler({
        name,
        timeoutMs: 5_000,
        handle: (_, { attempt }) => (attempt === 1 ? Promise.reject(new Error("first")) : handle()),
      });
    const stop = new AbortController();
    const handlers = [later("hanging", () => new Promise(() => undefined)), later("quick", () => Promise.resolve())];
    const engine = engineOn(store, handlers, { signal: stop.signal });
    await engine.processBatch({ batches: [await addBatch(store, [{ id: "a" }, { id: "b" }])], startedBefore: 0 });
    await dueNow();
    const hanging = engine.runDueDeliveries(5, "hanging");
    expect(await engine.runDueDeliveries(5, "quick")).toBe(2);
    expect(await deliveries(store)).toEqual(expect.arrayContaining(["a quick succeeded", "b quick succeeded"]));
    stop.abort(new Error("stopping"));
    expect(await hanging).toBe(2);
  });

  test("whose COMMIT is refused has failed", async () => {
    await store.pool.query(`
      CREATE SEQUENCE app.checks;
      CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF nextval('app.checks') % 2 = 0 THEN RAISE EXCEPTION 'refused at commit'; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON app.effects DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION app.refuse();`);
    const engine = await processOne(flaky(1).handler);
    await dueNow();
    await engine.runDueDeliveries(10);
    expect((await attempts())[1]).toMatchObject({ attempt: 2, outcome: "failed" });
    expect(await effects(store)).toEqual([]);
  });
});

describe("a backlog of a transactional handler", () => {
  const names = (count: number) => Array.from({ length: count }, (_, at) => `evt_${String(at).padStart(3, "0")}`);

  /** Has a handler's events wait as deliveries of their own, as after a demotion. */
  async function letWait(handler: ReturnType<typeof effectHandler>, ids: readonly string[]): Promise<void> {
    await register(store, [handler]);
    // A worker that lacks the handler leaves them to those that have it.
    const batch = await addBatch(
      store,
      ids.map((id) => ({ id })),
    );
    await engineOn(store, [], { batchEvents: 1_000 }).processBatch({ batches: [batch], startedBefore: 0 });
  }

  test("is handled many at a time in one transaction, by handleBatch where there is one", async () => {
    const calls: number[] = [];
    const handler = effectHandler({
      async handleBatch(events, { tx }) {
        calls.push(events.length);
        const values = events.map(({ id }) => ({ handler: "effect", event_id: id }));
        await tx.insertInto("effects").values(values).execute();
      },
    });
    await letWait(handler, names(250));
    const engine = engineOn(store, [handler]);
    expect(await engine.runDueDeliveries(200)).toBe(200);
    expect(await engine.runDueDeliveries(200)).toBe(50);
    expect(await engine.runDueDeliveries(200)).toBe(0);
    expect(calls).toEqual([200, 50]);
    expect(await effects(store)).toEqual(names(250).map((id) => `effect ${id}`));
    expect(await deliveries(store)).toEqual(names(250).map((id) => `${id} effect succeeded`));
    const transactions = await rows(store, "SELECT count(DISTINCT xmin::text)::int AS count FROM app.effects");
    expect(transactions).toEqual([{ count: 2 }]);
  });

  test("lets only the culprits in it fail", async () => {
    const handler = effectHandler({
      async handle(event, { tx, attempt }) {
        await tx
          .insertInto("effects")
          .values({ handler: `try ${attempt}`, event_id: event.id })
          .execute();
        if (event.id === "evt_003" && attempt < 3) throw new Error("not yet");
      },
    });
    await letWait(handler, names(8));
    const engine = engineOn(store, [handler]);
    for (let turn = 0; turn < 3; turn++) {
      await dueNow();
      await engine.runDueDeliveries(200);
    }
    expect(await effects(store)).toEqual(
      names(8)
        .map((id) => (id === "evt_003" ? "try 3 evt_003" : `try 1 ${id}`))
        .toSorted(),
    );
    expect((await attempts()).map(({ outcome }) => outcome)).toEqual(["failed", "failed", "succeeded"]);
  });

  test("goes on one by one where a transaction of many is lost, and together again once the culprit is found", async () => {
    const handler = effectHandler({
      timeoutMs: 300,
      async handle(event, { tx, attempt }) {
        await tx
          .insertInto("effects")
          .values({ handler: `try ${attempt}`, event_id: event.id })
          .execute();
        if (event.id === "evt_002" && attempt < 2) await new Promise((resolve) => setTimeout(resolve, 2_000));
      },
    });
    await letWait(handler, names(6));
    const engine = engineOn(store, [handler]);
    expect(await engine.runDueDeliveries(200)).toBe(6);
    expect(await effects(store)).toEqual([]);
    expect(await rows(store, "SELECT DISTINCT state, attempts FROM penstock.deliveries")).toEqual([
      { state: "pending", attempts: 0 },
    ]);
    expect(await engine.runDueDeliveries(200)).toBe(6);
    expect(await deliveries(store)).toEqual(
      names(6).map((id) => `${id} effect ${id === "evt_002" ? "retrying" : "succeeded"}`),
    );
    await dueNow();
    expect(await engine.runDueDeliveries(200)).toBe(1);
    expect(await deliveries(store)).toEqual(names(6).map((id) => `${id} effect succeeded`));
  });

  test("ends a demotion once it is worked off well: what comes next is handled in batches again", async () => {
    let slow = true;
    const handler = effectHandler({
      async handle(event, { tx }) {
        if (slow) await new Promise((resolve) => setTimeout(resolve, 60));
        await tx.insertInto("effects").values({ handler: "effect", event_id: event.id }).execute();
      },
    });
    const engine = engineOn(store, [handler], { budgetMs: 50 });
    const batch = async (...ids: string[]) => {
      const batch = await addBatch(
        store,
        ids.map((id) => ({ id })),
      );
      return engine.processBatch({ batches: [batch], startedBefore: 0 });
    };
    await batch("evt_1", "evt_2");
    expect(await deliveries(store)).toEqual(["evt_1 effect succeeded", "evt_2 effect pending"]);
    slow = false;
    expect(await batch("evt_3")).toMatchObject({ succeeded: 0 });
    // As often as a busy machine makes it look slow.
    await eventually(async () => {
      expect(await engine.runDueDeliveries(200)).toBeGreaterThan(0);
      expect(await batch(randomId("evt"))).toMatchObject({ succeeded: 1 });
    });
  });

  test("that fails at everything keeps what has no turn as it was, with the tries it has had", async () => {
    const handler = effectHandler({ handle: () => Promise.reject(new Error("down")) });
    await letWait(handler, names(22));
    await store.pool.query("UPDATE penstock.deliveries SET attempts = 1, state = 'retrying'");
    await engineOn(store, [handler]).runDueDeliveries(200);
    const left = await rows(
      store,
      "SELECT state, attempts, count(*)::int FROM penstock.deliveries GROUP BY state, attempts ORDER BY attempts",
    );
    expect(left).toEqual([
      { state: "retrying", attempts: 1, count: 2 },
      { state: "retrying", attempts: 2, count: 20 },
    ]);
  });

  test("takes under its lease only what shares the one transaction: what would wait could lose its lease", async () => {
    const leased: number[] = [];
    const handler = effectHandler({
      async handleBatch(events, { tx }) {
        leased.push((await rows(store, "SELECT FROM penstock.deliveries WHERE state = 'running'")).length);
        const values = events.map(({ id }) => ({ handler: "effect", event_id: id }));
        await tx.insertInto("effects").values(values).execute();
      },
    });
    await letWait(handler, names(6));
    await store.pool.query("UPDATE penstock.deliveries SET attempts = 1, state = 'retrying' WHERE seq % 2 = 1");
    // Each by an engine of its own: one that a busy machine slows down would run the rest apart.
    for (let turn = 0; turn < 2; turn++) expect(await engineOn(store, [handler]).runDueDeliveries(200)).toBe(3);
    expect(leased).toEqual([3, 3]);
    expect(await effects(store)).toEqual(names(6).map((id) => `effect ${id}`));
  });

  test("leaves what does not fit into a transaction's bytes for the next", async () => {
    const handler = effectHandler();
    await register(store, [handler]);
    const events = names(4).map((id) => ({ id, data: { body: "x".repeat(2_000) } }));
    await engineOn(store, []).processBatch({ batches: [await addBatch(store, events)], startedBefore: 0 });
    const engine = engineOn(store, [handler], { batchBytes: 5_000 });
    await engine.runDueDeliveries(200);
    expect(await effects(store)).toHaveLength(2);
    await engine.runDueDeliveries(200);
    expect(await effects(store)).toHaveLength(4);
    expect(await rows(store, "SELECT DISTINCT state, attempts FROM penstock.deliveries")).toEqual([
      { state: "succeeded", attempts: 1 },
    ]);
  });
});

test("a handler's time-out counts also where Postgres refuses one connection more", async () => {
  const role = `limited_${randomBytes(4).toString("hex")}`;
  await store.pool.query(`
    CREATE ROLE ${role} LOGIN PASSWORD '${role}' CONNECTION LIMIT 2;
    GRANT USAGE ON SCHEMA penstock, app TO ${role};
    GRANT ALL ON ALL TABLES IN SCHEMA penstock, app TO ${role};
    GRANT ALL ON ALL SEQUENCES IN SCHEMA penstock, app TO ${role}`);
  const url = String(store.pool.options.connectionString).replace(/\/\/[^@]*@/, `//${role}:${role}@`);
  const limited = createStore({ connectionString: url, applicationName: "limited", maxConnections: 2 });
  try {
    const handler = effectHandler({ timeoutMs: 200, handle: () => new Promise(() => undefined) });
    await register(store, [handler]);
    await engineOn(store, []).processBatch({ batches: [await addBatch(store, [{ id: "evt_1" }])], startedBefore: 0 });
    // All that the role may have.
    await Promise.all([limited.pool.query("SELECT pg_sleep(0.1)"), limited.pool.query("SELECT pg_sleep(0.1)")]);
    expect(await engineOn(limited, [handler]).runDueDeliveries(10)).toBe(1);
    expect(await attempts()).toMatchObject([{ attempt: 1, outcome: "timed-out" }]);
  } finally {
    await limited.close();
    await store.pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

describe("a lease", () => {
  const lose = (sql = "lease_until = now() - interval '1 minute'") =>
    store.pool.query(`UPDATE penstock.deliveries SET ${sql} WHERE state = 'running'`);
  const claim = (interrupted = false) =>
    createEngineStore(store, "lost").claimDeliveries({
      subscriber: "effect",
      limit: 1,
      leaseMs: 60_000,
      interrupted,
    });

  test("that ran out is an interrupted attempt; the delivery is taken up again, and dies when that repeats", async () => {
    const engine = await processOne(flaky(99).handler);
    for (const [turn, expected] of ["retrying", "retrying", "dead"].entries()) {
      await dueNow();
      expect(await claim(turn > 0)).toHaveLength(1);
      expect(await engine.reclaimDeliveries()).toMatchObject({ retrying: 0, dead: [] });
      await lose();
      const dead = expected === "dead" ? [{ seq: expect.any(Number) as number, handler: "effect" }] : [];
      expect(await engine.reclaimDeliveries(), `turn ${turn}`).toMatchObject({ retrying: 1 - dead.length, dead });
      expect(await deliveries(store)).toEqual([`evt_1 effect ${expected}`]);
    }
    // Of who ran it nothing is known but when it was claimed.
    const noted = await rows(
      store,
      "SELECT worker, started_at < ended_at AS took_time FROM penstock.attempts WHERE outcome = 'interrupted'",
    );
    expect(noted).toEqual([1, 2, 3].map(() => ({ worker: "", took_time: true })));
  });

  test("that ran out while Postgres was away is left to its worker for a while", async () => {
    const { handler } = flaky(99);
    await processOne(handler);
    await dueNow();
    await claim();
    await lose();
    const engine = engineOn(store, [handler], { afterOutageMs: 3_600_000 });
    expect(await engine.reclaimDeliveries()).toMatchObject({ retrying: 0, dead: [] });
  });

  test("that went to somebody else lets the one who lost it write nothing", async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const handler = effectHandler({
      async handle(event, { tx, attempt }) {
        if (attempt === 1) throw new Error("first");
        await gate;
        await tx.insertInto("effects").values({ handler: "late", event_id: event.id }).execute();
      },
    });
    const engine = await processOne(handler);
    await dueNow();
    // The delivery is claimed, then taken away before its transaction locks it.
    const [delivery] = await claim();
    await lose("token = gen_random_uuid()");
    const engineStore = createEngineStore(store, "late");
    await engineStore.transaction(async (tx) => {
      if (delivery === undefined) throw new Error("nothing was claimed");
      expect(await tx.lockDeliveries([delivery], Infinity)).toEqual([]);
      const result = { event: delivery, subscriber: "effect", state: "succeeded", attempts: 2 } as const;
      expect(await tx.finishDeliveries([{ delivery, result }])).toEqual([]);
    });
    release();
    expect(await deliveries(store)).toEqual(["evt_1 effect running"]);
    expect(await engine.runDueDeliveries(10)).toBe(0);
  });

  test("handed back leaves no trace of an attempt", async () => {
    await processOne(flaky(1).handler);
    await dueNow();
    const claimed = await claim();
    await createEngineStore(store, "leaving").releaseDeliveries(claimed);
    expect(await rows(store, "SELECT state, attempts, token FROM penstock.deliveries")).toEqual([
      { state: "retrying", attempts: 1, token: null },
    ]);
  });
});

describe("a delivery whose worker vanished while it ran", () => {
  test("runs alone: no other delivery and no batch beside it, so that only the culprit can be interrupted again", async () => {
    let running = 0;
    const beside: string[] = [];
    const watched = effectHandler({
      async handle(event, { attempt }) {
        if (event.id !== "batch" && attempt === 1) throw new Error("first");
        running++;
        await new Promise((resolve) => setTimeout(resolve, 30));
        if (running > 1) beside.push(event.id);
        running--;
      },
    });
    const engine = engineOn(store, [watched]);
    const suspects = ["evt_1", "evt_2", "evt_3"];
    const all = await addBatch(
      store,
      [...suspects, "other_1", "other_2"].map((id) => ({ id })),
    );
    await engine.processBatch({ batches: [all], startedBefore: 0 });
    await dueNow();
    await store.pool.query(`UPDATE penstock.deliveries SET interruptions = 1
      WHERE seq IN (SELECT seq FROM penstock.events WHERE event_id LIKE 'evt%')`);
    const batch = await addBatch(store, [{ id: "batch" }]);
    const alone = suspects.map(() => engine.runInterruptedDelivery());
    const others = engine.runDueDeliveries(10);
    await engine.processBatch({ batches: [batch], startedBefore: 0 });
    expect(await Promise.all(alone)).toEqual([true, true, true]);
    expect(await others).toBe(2);
    expect(beside.filter((id) => suspects.includes(id))).toEqual([]);
    expect(await engine.runInterruptedDelivery()).toBe(false);
    expect(await rows(store, "SELECT DISTINCT state FROM penstock.deliveries")).toEqual([{ state: "succeeded" }]);
  });
});
