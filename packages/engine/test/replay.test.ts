import { randomUUID } from "node:crypto";
import type { Engine } from "@penstock/engine";
import type { Handler, Replay } from "@penstock/handler-sdk";
import { makeEvent } from "@penstock/schemas/fixtures";
import type { Source } from "@penstock/sources";
import {
  cancelReplay,
  changeDeliveries,
  countReplay,
  createEngineStore,
  createReplay,
  type DeliveryChange,
  type DeliveryStateName,
  findEvents,
  findUnqueuedBatches,
  listDeliveries,
  listReplays,
  type NewReplay,
  showDeliveries,
  showReplay,
  type Store,
} from "@penstock/store";
import { eventually } from "@penstock/testing";
import { beforeEach, describe, expect, test } from "vitest";
import {
  addBatch,
  deliveries,
  effectHandler,
  engineOn,
  findSource,
  openTestStore,
  outsideHandler,
  register,
  rows,
  runDueEffects,
  type TestEvent,
} from "./engine-under-test.ts";

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

/** What handlers saw of replays: `handler event replay`. */
let seen: string[] = [];
beforeEach(() => void (seen = []));

const see = (handler: string, event: { id: string }, { replay }: { replay: Replay | null }): void =>
  void seen.push([handler, event.id, replay === null ? "-" : replay.id].join(" "));

/** A handler that notes what it saw, and fails while `fails` says so. */
function noting(name: string, fails: () => boolean = () => false): Handler {
  return effectHandler({
    name,
    retry: { attempts: 1 },
    handle(event, ctx) {
      see(name, event, ctx);
      if (fails()) throw new Error("told to fail");
    },
  });
}

async function engineWith(handlers: readonly Handler[], find?: (name: string) => Source | undefined): Promise<Engine> {
  const engine = engineOn(store, handlers, find && { findSource: find });
  await register(store, handlers);
  return engine;
}

async function receive(engine: Engine, ...events: TestEvent[]): Promise<void> {
  await engine.processBatch({ batches: [await addBatch(store, events)], startedBefore: 0 });
}

/** How many deliveries each was told to run before it was created. */
const counted = new Map<string, number>();

async function create(replay: Partial<NewReplay> = {}): Promise<string> {
  const id = replay.id ?? randomUUID();
  const count = await countReplay(store, replay);
  if (replay.body === undefined && count?.quarantined === 0) counted.set(id, count.total);
  expect(await createReplay(store, { request: {}, ...replay, id }, "test")).toBe("new");
  return id;
}

/** Has workers run it to its end. */
async function runToEnd(engine: Engine, id: string): Promise<void> {
  await eventually(async () => {
    while (await engine.advanceReplay());
    while ((await engine.runDueDeliveries(20)) > 0);
    await runDueEffects(engine);
    expect((await showReplay(store, id))?.status).toBe("done");
  });
  const enqueued = (await showReplay(store, id))?.enqueued;
  expect(counted.get(id) ?? enqueued).toBe(enqueued);
}

const states = (ids: readonly string[], ...lines: string[]): string[] =>
  ids.flatMap((id) => lines.map((line) => `${id} ${line}`)).toSorted();

describe("a replay", () => {
  test("does dead deliveries again, says so to the handler, and keeps the attempts on record", async () => {
    let failing = true;
    const engine = await engineWith([noting("a", () => failing), noting("b")]);
    await receive(engine, { id: "e1" }, { id: "e2" });
    expect(await deliveries(store)).toEqual([...states(["e1", "e2"], "a dead", "b succeeded")]);
    failing = false;
    seen = [];
    const id = await create({ handler: "a", state: "dead", reason: "a was broken" });
    await runToEnd(engine, id);
    expect(seen.toSorted()).toEqual([`a e1 ${id}`, `a e2 ${id}`]);
    expect(await deliveries(store)).toEqual([...states(["e1", "e2"], "a succeeded", "b succeeded")]);
    expect(await showReplay(store, id)).toMatchObject({
      matched: 2,
      enqueued: 2,
      skipped: 0,
      done: 2,
      complete: true,
      reason: "a was broken",
      states: { succeeded: 2 },
    });
    expect(await rows(store, "SELECT attempt, outcome FROM penstock.attempts ORDER BY started_at")).toEqual([
      { attempt: 1, outcome: "failed" },
      { attempt: 1, outcome: "failed" },
      { attempt: 1, outcome: "succeeded" },
      { attempt: 1, outcome: "succeeded" },
    ]);
  });

  test("leaves a whole history: a first success, which has no row, and what operators did in between", async () => {
    let failing = false;
    const engine = await engineWith([noting("a", () => failing)]);
    await receive(engine, { id: "e1" });
    expect(await rows(store, "SELECT FROM penstock.attempts")).toEqual([]);
    const history = async (): Promise<string[]> => {
      const [shown] = await showDeliveries(store, { event: "e1" });
      return shown!.attemptLog.map(({ outcome, replay, worker }) => [outcome, replay, worker].join(" ").trim());
    };
    const change = async (what: DeliveryChange): Promise<void> => {
      expect(await changeDeliveries(store, what, await listDeliveries(store), { actor: "test" })).toHaveLength(1);
    };
    expect(await history()).toEqual(["succeeded"]);
    failing = true;
    await runToEnd(engine, await create({ id: "r1" }));
    await change("skip");
    failing = false;
    await change("retry");
    expect(await engine.runDueDeliveries(10)).toBe(1);
    await create({ id: "r2" });
    while (await engine.advanceReplay());
    expect(await cancelReplay(store, "r2", "test")).toEqual({ undone: 1, cancelled: 0 });
    const whole = [
      "succeeded",
      "failed r1 test-worker",
      "skipped r1 deliveries skip",
      "retried r1 deliveries retry",
      "succeeded r1 test-worker",
    ];
    expect(await history()).toEqual(whole);
    // Retried by an operator since: not the replay's to put back any more.
    await create({ id: "r3" });
    while (await engine.advanceReplay());
    await change("cancel");
    await change("retry");
    expect(await cancelReplay(store, "r3", "test")).toEqual({ undone: 0, cancelled: 1 });
    expect((await history()).slice(whole.length)).toEqual([
      "cancelled r3 deliveries cancel",
      "retried r3 deliveries retry",
      "cancelled r3 replay cancel",
    ]);
  });

  test.each<[DeliveryStateName, boolean]>([
    ["succeeded", true],
    ["dead", true],
    ["skipped", false],
    ["cancelled", false],
  ])("takes what is %s when it is asked for, and without being so: %s", async (state, unasked) => {
    const engine = await engineWith([noting("a")]);
    await receive(engine, { id: "e1" });
    await store.pool.query("UPDATE penstock.deliveries SET state = $1", [state]);
    await runToEnd(engine, await create());
    expect(await deliveries(store)).toEqual([`e1 a ${unasked ? "succeeded" : state}`]);
    await store.pool.query("UPDATE penstock.deliveries SET state = $1", [state]);
    await runToEnd(engine, await create({ state }));
    expect(seen).toHaveLength(unasked ? 3 : 2);
    expect(await deliveries(store)).toEqual(["e1 a succeeded"]);
  });

  test("makes nothing that a handler never had, and leaves the quarantine alone, unless that is asked for", async () => {
    const before = await engineWith([noting("a")]);
    await receive(before, { id: "e1" }, { id: "odd", body: Buffer.from("{}"), problem: "no-envelope" });
    const engine = await engineWith([noting("a"), noting("new")]);
    const id = await create();
    await runToEnd(engine, id);
    expect(seen).toEqual(["a e1 -", `a e1 ${id}`]);
    expect(await showReplay(store, id)).toMatchObject({ matched: 1, skipped: 0 });
    const [event] = await rows<{ seq: number; day: string }>(
      store,
      "SELECT seq::int, day::text FROM penstock.events WHERE problem IS NOT NULL",
    );
    expect(await countReplay(store, { event: event! })).toMatchObject({ total: 1, quarantined: 1 });
    const named = await create({ event: event! });
    await runToEnd(engine, named);
    expect(await showReplay(store, named)).toMatchObject({ matched: 1, skipped: 1 });
  });

  test.each(["pending", "running", "retrying"])("leaves alone what is %s, and counts it as skipped", async (state) => {
    const engine = await engineWith([noting("a")]);
    await receive(engine, { id: "e1" });
    await store.pool.query(
      "UPDATE penstock.deliveries SET state = $1, next_attempt_at = now() + interval '1 h', lease_until = now() + interval '1 h'",
      [state],
    );
    const id = await create();
    await runToEnd(engine, id);
    expect(seen).toHaveLength(1);
    expect(await showReplay(store, id)).toMatchObject({ matched: 1, enqueued: 0, skipped: 1 });
  });

  test.each<[string, Omit<NewReplay, "id" | "request">, string[]]>([
    ["a handler", { handler: "b" }, ["b e1", "b e2", "b e3"]],
    ["a subject", { subject: "cnt_2", handler: "a" }, ["a e2"]],
    ["a type", { type: "message.sent" }, ["s e4"]],
    ["a source", { source: "other" }, []],
    ["a time to come", { since: new Date(Date.now() + 3_600_000) }, []],
    ["a time that is over", { until: new Date(Date.now() - 3_600_000) }, []],
    ["a time", { since: new Date(Date.now() - 3_600_000), handler: "s" }, ["s e4"]],
    ["a state", { state: "dead", handler: "a" }, []],
  ])("takes only what matches %s", async (_, filter, expected) => {
    const sent = effectHandler({ name: "s", on: ["message.sent"], handle: (event, ctx) => see("s", event, ctx) });
    const engine = await engineWith([noting("a"), noting("b"), sent]);
    await receive(
      engine,
      { id: "e1" },
      { id: "e2", subject: "cnt_2" },
      { id: "e3" },
      { id: "e4", type: "message.sent", subject: "cnt_3" },
    );
    seen = [];
    const id = await create(filter);
    await runToEnd(engine, id);
    expect(seen.toSorted()).toEqual(expected.map((line) => `${line} ${id}`));
  });

  test("of one event takes only that, and with a handler one delivery", async () => {
    const engine = await engineWith([noting("a"), noting("b")]);
    await receive(engine, { id: "e1" }, { id: "e2" });
    const [event] = (await rows<{ seq: number; day: string }>(
      store,
      "SELECT seq::int, day::text FROM penstock.events WHERE event_id = 'e2'",
    )) as [{ seq: number; day: string }];
    seen = [];
    const one = await create({ event, handler: "b" });
    await runToEnd(engine, one);
    expect(seen).toEqual([`b e2 ${one}`]);
    const all = await create({ event });
    await runToEnd(engine, all);
    expect(seen.slice(1).toSorted()).toEqual([`a e2 ${all}`, `b e2 ${all}`]);
  });

  test("attaches a handler to history: only where it has no delivery, only what it subscribes to", async () => {
    const before = await engineWith([noting("a")]);
    await receive(before, { id: "e1" }, { id: "e2" }, { id: "other", type: "message.sent", subject: "cnt_9" });
    const engine = await engineWith([noting("a"), noting("new")]);
    await receive(engine, { id: "e3" });
    seen = [];
    const id = await create({ handler: "new", since: new Date(Date.now() - 3_600_000), among: "missing" });
    await runToEnd(engine, id);
    expect(seen.toSorted()).toEqual([`new e1 ${id}`, `new e2 ${id}`]);
    expect(await showReplay(store, id)).toMatchObject({ matched: 2, enqueued: 2 });
  });

  test("takes what was there when it was asked for, and nothing of what comes later", async () => {
    const engine = await engineWith([noting("a")]);
    await receive(engine, { id: "e1" });
    const late = await store.pool.connect();
    await late.query("BEGIN");
    await late.query(
      `INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
       SELECT seq - 1, day, received_at, source, 'late', type, subjects, body_at, body_bytes FROM penstock.events`,
    );
    const id = await create();
    await late.query("COMMIT");
    late.release();
    await receive(engine, { id: "e2" });
    seen = [];
    await runToEnd(engine, id);
    expect(seen).toEqual([`a e1 ${id}`]);
  });

  test("has quarantined events handled once their schema is known; the others stay, with the reason of now", async () => {
    const engine = await engineWith([noting("a")]);
    const odd = (id: string, type: string): TestEvent => ({
      id,
      body: Buffer.from(JSON.stringify({ ...makeEvent("message.received", { id }), type })),
    });
    await receive(engine, odd("e1", "odd.type"), odd("e2", "odder.type"), { id: "e3" });
    seen = [];
    const real = findSource("buzzbip")!;
    const newer = await engineWith([noting("a")], () => ({
      ...real,
      check: (stored) =>
        real.check({
          ...stored,
          body: Buffer.from(stored.body.toString().replace('"odd.type"', '"message.received"')),
        }),
    }));
    const id = await create({ among: "quarantined" });
    await runToEnd(newer, id);
    expect(seen).toEqual([`a e1 ${id}`]);
    expect(
      await rows(store, "SELECT event_id, reason FROM penstock.quarantine JOIN penstock.events USING (day, seq)"),
    ).toEqual([{ event_id: "e2", reason: "unknown-type" }]);
    expect(await showReplay(store, id)).toMatchObject({ matched: 2, enqueued: 1, skipped: 1 });
  });

  test("does no effect again that is on record, and does it `again` with keys of their own", async () => {
    const keys: string[] = [];
    const outside = outsideHandler(async (event, ctx) => {
      see("outside", event, ctx);
      await ctx.once("post", () => void keys.push(ctx.idempotencyKey));
    });
    const engine = await engineWith([outside]);
    await receive(engine, { id: "e1" });
    await runDueEffects(engine);
    const id = await create({ handler: "outside" });
    await runToEnd(engine, id);
    expect(seen).toEqual(["outside e1 -", `outside e1 ${id}`]);
    expect(keys).toHaveLength(1);
    await runToEnd(engine, await create({ again: true }));
    expect(new Set(keys).size).toBe(2);
  });

  test.each([undefined, "succeeded" as const])("goes through all days, one by one (state %s)", async (state) => {
    const engine = await engineWith([noting("a")]);
    for (const ago of [1, 2, 5]) {
      for (const table of ["batches", "events", "deliveries", "attempts"]) {
        await store.pool.query(
          `DO $$ DECLARE day date := (now() AT TIME ZONE 'UTC')::date - ${ago}; BEGIN
             EXECUTE format('CREATE TABLE penstock.${table}_%s PARTITION OF penstock.${table} FOR VALUES FROM (%L) TO (%L)',
                            to_char(day, 'YYYYMMDD'), day, day + 1);
           END $$`,
        );
      }
    }
    await receive(engine, ...Array.from({ length: 30 }, (_, at) => ({ id: `e${at}` })));
    for (const ago of [1, 5]) {
      await store.pool.query(
        `INSERT INTO penstock.batches
         SELECT day - ${ago}, batch, received_at - interval '${ago} d', events, meta, bodies FROM penstock.batches
          WHERE day = (now() AT TIME ZONE 'UTC')::date;
         WITH old AS (
           INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
           SELECT seq + ${100 * ago}, day - ${ago}, received_at - interval '${ago} d', source,
                  event_id || ' ${ago} d ago', type, subjects, body_at, body_bytes
             FROM penstock.events WHERE day = (now() AT TIME ZONE 'UTC')::date RETURNING day, seq)
         INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
         SELECT day, seq, 'a', 'succeeded', 1 FROM old`,
      );
    }
    seen = [];
    const all = await create(state && { state });
    await runToEnd(engine, all);
    expect(seen).toHaveLength(90);
    expect(await showReplay(store, all)).toMatchObject({ matched: 90, enqueued: 90 });
    const some = await create({ ...(state && { state }), until: new Date(Date.now() - 3 * 86_400_000) });
    await runToEnd(engine, some);
    expect(await showReplay(store, some)).toMatchObject({ matched: 30, enqueued: 30 });
  });

  test("hands out no more than may wait, page by page, and each delivery once, whoever does it", async () => {
    const engines = [await engineWith([noting("a")]), await engineWith([noting("a")])];
    await receive(engines[0]!, ...Array.from({ length: 200 }, (_, at) => ({ id: `e${at}` })));
    await store.pool.query(
      `INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
       SELECT seq + 200 * n, day, received_at, source, event_id || '-' || n, type, subjects, body_at, body_bytes
         FROM penstock.events, generate_series(1, 4) AS n;
       DELETE FROM penstock.deliveries`,
    );
    seen = [];
    const id = await create({ handler: "a", among: "missing" });
    let most = 0;
    await eventually(
      async () => {
        await Promise.all(engines.map((engine) => engine.advanceReplay()));
        const { states = {} } = (await showReplay(store, id)) ?? {};
        most = Math.max(most, (states["pending"] ?? 0) + (states["running"] ?? 0));
        await Promise.all(engines.map((engine) => engine.runDueDeliveries(5)));
        while ((await engines[0]!.runDueDeliveries(10)) > 0);
        expect((await showReplay(store, id))?.status).toBe("done");
      },
      { timeoutMs: 120_000, intervalMs: 1 },
    );
    expect(most).toBe(500);
    expect(await showReplay(store, id)).toMatchObject({
      matched: 1_000,
      enqueued: 1_000,
      states: { succeeded: 1_000 },
    });
    expect(seen).toHaveLength(1_000);
  });

  test("keeps to its rate", async () => {
    const engine = await engineWith([noting("a")]);
    await receive(engine, ...Array.from({ length: 50 }, (_, at) => ({ id: `e${at}` })));
    const startedAt = performance.now();
    const id = await create({ rate: 20 });
    while (await engine.advanceReplay());
    // A fifth of a second's worth at once; the next page is due when that has passed.
    const { enqueued = 0 } = (await showReplay(store, id)) ?? {};
    expect(enqueued).toBeGreaterThanOrEqual(4);
    expect(enqueued).toBeLessThanOrEqual(4 + (20 * (performance.now() - startedAt)) / 1_000);
    const [row] = await rows<{ ms: number }>(
      store,
      "SELECT extract(epoch FROM due_at - now())::float8 * 1000 AS ms FROM penstock.replays",
    );
    expect(row!.ms).toBeLessThanOrEqual(200);
    await runToEnd(engine, id);
    expect(await showReplay(store, id)).toMatchObject({ enqueued: 50 });
  });

  test("that is cancelled leaves what it had not begun as it was", async () => {
    let failing = true;
    const engine = await engineWith([noting("a", () => failing)]);
    await receive(engine, { id: "e1" }, { id: "e2" }, { id: "e3" });
    const asItWas = (): Promise<unknown[]> =>
      rows(store, "SELECT seq, state, attempts, generation, replay_id FROM penstock.deliveries ORDER BY seq");
    const before = await asItWas();
    await register(store, [noting("new")]);
    const id = await create({ again: true });
    const missing = await create({ handler: "new", among: "missing" });
    while (await engine.advanceReplay());
    expect(await deliveries(store)).toEqual(states(["e1", "e2", "e3"], "a pending", "new pending"));
    expect(await cancelReplay(store, id, "test")).toEqual({ undone: 3, cancelled: 0 });
    expect(await cancelReplay(store, missing, "test")).toEqual({ undone: 3, cancelled: 0 });
    expect(await asItWas()).toEqual(before);
    await store.pool.query("UPDATE penstock.deliveries SET state = 'skipped', skip_reason = 'overtaken'");
    const [skipped] = await listDeliveries(store);
    const third = await create({ state: "skipped" });
    while (await engine.advanceReplay());
    expect(await cancelReplay(store, third, "test")).toEqual({ undone: 3, cancelled: 0 });
    expect((await listDeliveries(store))[0]).toEqual(skipped);
    failing = false;
    seen = [];
    while (await engine.advanceReplay());
    expect(await engine.runDueDeliveries(10)).toBe(0);
    expect(await showReplay(store, id)).toMatchObject({
      status: "cancelled",
      matched: 3,
      enqueued: 3,
      undone: 3,
      done: 0,
    });
    expect(await cancelReplay(store, id, "test")).toBeNull();
  });

  test("that is cancelled does not take back what was done anew before a worker was stopped", async () => {
    const keys: string[] = [];
    const engine = await engineWith([
      outsideHandler((_, ctx) => ctx.once("post", () => void keys.push(ctx.idempotencyKey))),
    ]);
    await receive(engine, { id: "e1" });
    await runDueEffects(engine);
    const id = await create({ again: true });
    while (await engine.advanceReplay());
    const engineStore = createEngineStore(store, "stopped");
    const [claimed] = await engineStore.claimDeliveries({ subscriber: "outside", limit: 1, leaseMs: 60_000 });
    await engineStore.recordEffect(claimed!, "post", "null");
    await engineStore.releaseDeliveries([claimed!]);
    // Were it put back, the next `again` would take that record for its own, and do nothing.
    expect(await cancelReplay(store, id, "test")).toEqual({ undone: 0, cancelled: 1 });
    await runToEnd(engine, await create({ again: true, state: "cancelled" }));
    expect(new Set(keys).size).toBe(2);
  });

  test("is created once for an id, and another one of this id is told apart", async () => {
    const replay = { id: "fix-1", request: { handler: "a" }, handler: "a" };
    expect(await createReplay(store, replay, "test")).toBe("new");
    expect(await createReplay(store, replay, "test")).toBe("same");
    expect(await createReplay(store, { ...replay, request: { handler: "b" } }, "test")).toBe("different");
    expect(await listReplays(store)).toHaveLength(1);
  });

  test("of another body is an event of its own, handled as a new one and marked", async () => {
    const batched: string[] = [];
    const engine = await engineWith([
      noting("a"),
      effectHandler({
        name: "b",
        handle: (event, ctx) => see("b", event, ctx),
        handleBatch: (events) => void batched.push(...events.map(({ id }) => id)),
      }),
    ]);
    await receive(engine, { id: "e1" });
    const [event] = await rows<{ seq: number; day: string }>(store, "SELECT seq::int, day::text FROM penstock.events");
    const changed = Buffer.from(JSON.stringify(makeEvent("message.received", { id: "e1", data: { body: "changed" } })));
    seen = [];
    const id = await create({
      event: event!,
      body: {
        source: "buzzbip",
        eventId: "e1#replay-x",
        key: null,
        type: "message.received",
        createdAt: new Date(),
        subjects: ["cnt_1"],
        problem: null,
        traceparent: null,
        bodyVaries: false,
        body: changed,
        replay: null,
      },
    });
    const [made] = await findUnqueuedBatches(store, { olderThanMs: 0 });
    expect(await showReplay(store, id)).toMatchObject({ status: "running", states: { pending: 1 }, done: 0 });
    await receive(engine, { id: "e2" }, { id: "e3" });
    await engine.processBatch({ batches: [made!], startedBefore: 0 });
    await runToEnd(engine, id);
    expect(seen.filter((line) => !line.endsWith("-")).toSorted()).toEqual([`a e1 ${id}`, `b e1 ${id}`]);
    expect(batched).not.toContain("e1");
    expect(await findEvents(store, "e1#replay-x")).toHaveLength(1);
    expect(await showReplay(store, id)).toMatchObject({ status: "done", states: { succeeded: 2 } });
  });
});
