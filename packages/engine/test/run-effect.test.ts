import type { EngineOptions, EngineStore } from "@penstock/engine";
import { type EffectContext, PermanentError, RetryAfterError } from "@penstock/handler-sdk";
import { createEngineStore, pauseHandler, type Store } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { eventually } from "@penstock/testing";
import { sql, type Transaction } from "kysely";
import { beforeEach, describe, expect, test } from "vitest";
import {
  addBatch,
  deliveries,
  engineOn,
  makeDue,
  openTestStore,
  outsideHandler,
  rows,
  runDueEffects,
} from "./engine-under-test.ts";

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

interface Tables {
  effects: { handler: string; event_id: string; note: string };
}

type Handle = Parameters<typeof outsideHandler>[0];

/** An engine with an effect handler, and events whose deliveries to it wait. */
async function given(handle: Handle, { ids = ["evt_1"], ...more }: { ids?: string[] } & Record<string, unknown> = {}) {
  const { signal, log, store: on, ...definition } = more as Partial<Pick<EngineOptions, "signal" | "log" | "store">>;
  const handler = outsideHandler(handle, definition);
  const options = { ...(signal && { signal }), ...(log && { log }), ...(on && { store: on }) };
  const engine = engineOn(store, [handler], { afterOutageMs: 0, ...options });
  const batch = await addBatch(
    store,
    ids.map((id) => ({ id })),
  );
  await engine.processBatch({ batches: [batch], startedBefore: 0 });
  return { engine, handler, run: () => runDueEffects(engine) };
}

const attempts = () =>
  rows(store, "SELECT attempt, outcome, error_message, worker FROM penstock.attempts ORDER BY started_at, attempt");
const recorded = () => rows(store, "SELECT subscriber, generation, key, result FROM penstock.effects ORDER BY key");
const delivery = async () => (await rows(store, "SELECT state, attempts, interruptions FROM penstock.deliveries"))[0];

describe("a delivery to an effect handler", () => {
  test("runs once, outside of any transaction, and leaves no row of a first success", async () => {
    const ran: object[] = [];
    const { run } = await given(async (event, { attempt, idempotencyKey, log, signal }) => {
      log.info({ x: 1 }, "notifying");
      const open =
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()";
      ran.push({ id: event.id, attempt, idempotencyKey, aborted: signal.aborted, ...(await rows(store, open))[0] });
    });
    expect(await run()).toBe(1);
    const idempotencyKey = expect.stringMatching(/^[0-9a-f]{32}$/) as string;
    expect(ran).toEqual([{ id: "evt_1", attempt: 1, idempotencyKey, aborted: false, n: 0 }]);
    expect(await deliveries(store)).toEqual(["evt_1 outside succeeded"]);
    expect(await attempts()).toEqual([]);
    expect(await run()).toBe(0);
    expect(ran).toHaveLength(1);
  });

  test("that is asked for twice at the same moment runs once", async () => {
    let ran = 0;
    const { run } = await given(() => ran++);
    await Promise.all([run(), run(), run()]);
    expect(ran).toBe(1);
  });

  test.each([
    { why: "fails", error: () => new Error("no"), states: ["retrying", "retrying", "dead"], waits: [0, 1] },
    { why: "can never succeed", error: () => new PermanentError("gone"), states: ["dead"] },
    {
      why: "is told when to come back",
      error: () => new RetryAfterError(60_000),
      states: ["retrying"],
      waits: [59, 60],
      retry: { attempts: 3, baseMs: 1, capMs: 60_000 },
    },
    {
      why: "has a schedule",
      error: () => new Error("no"),
      states: ["retrying", "dead"],
      waits: [29, 30],
      retry: { scheduleMs: [30_000] },
    },
  ])("that $why is $states, and each try is on record", async ({ error, states, waits, retry }) => {
    const { run } = await given(() => Promise.reject(error()), retry ? { retry } : {});
    for (const [at, state] of states.entries()) {
      await makeDue(store);
      expect(await run()).toBe(1);
      expect(await delivery()).toEqual({ state, attempts: at + 1, interruptions: 0 });
      const [{ wait } = { wait: null }] = await rows<{ wait: number | null }>(
        store,
        "SELECT extract(epoch FROM next_attempt_at - changed_at)::float8 AS wait FROM penstock.deliveries",
      );
      if (state === "dead" || waits === undefined) expect(wait).toBeNull();
      else expect(wait).toBeGreaterThanOrEqual(waits[0]!);
      if (state === "retrying") expect(wait).toBeLessThanOrEqual(waits![1]!);
    }
    expect(await attempts()).toEqual(
      states.map((_, at) => ({
        attempt: at + 1,
        outcome: "failed",
        error_message: error().message,
        worker: "test-worker",
      })),
    );
  });

  test.each([
    {
      how: "heeds",
      hang: (signal: AbortSignal) =>
        new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason as Error))),
    },
    { how: "ignores", hang: () => new Promise(() => undefined) },
  ])("whose handler $how its signal is timed out and counted", async ({ hang }) => {
    const { run } = await given((_, { signal }) => hang(signal), { timeoutMs: 50 });
    await run();
    expect(await attempts()).toMatchObject([{ attempt: 1, outcome: "timed-out" }]);
    expect(await deliveries(store)).toEqual(["evt_1 outside retrying"]);
  });

  test("that was timed out writes nothing later, whatever its handler still does", async () => {
    const gate = Promise.withResolvers<void>();
    const late: unknown[] = [];
    const { run } = await given(
      async (_, { once }) => {
        await once("slow", () => gate.promise).catch((error: unknown) => late.push(error));
        await once("next", () => late.push("began")).catch((error: unknown) => late.push(error));
      },
      { timeoutMs: 50 },
    );
    await run();
    gate.resolve();
    const over = expect.objectContaining({ code: "LEASE_LOST" }) as unknown;
    await eventually(() => expect(late).toEqual([over, over]));
    expect(await recorded()).toEqual([]);
    expect(await delivery()).toMatchObject({ state: "retrying", attempts: 1 });
  });

  test("whose lease went to another worker writes nothing", async () => {
    const lost: unknown[] = [];
    const { run } = await given(async (_, { once }) => {
      await store.pool.query("UPDATE penstock.deliveries SET token = gen_random_uuid()");
      await once("post", () => 1).catch((error: unknown) => lost.push(error));
    });
    await run();
    expect(lost).toEqual([expect.objectContaining({ code: "LEASE_LOST" })]);
    expect(await recorded()).toEqual([]);
    expect(await delivery()).toMatchObject({ state: "running", attempts: 1 });
  });

  test.each(["heeds", "ignores"])(
    "is handed back uncounted by a worker that stops, when its handler %s that",
    async (how) => {
      const stop = new AbortController();
      const { run } = await given(
        (_, { signal }) =>
          new Promise((_, reject) => {
            if (how === "heeds") signal.addEventListener("abort", () => reject(signal.reason as Error));
            stop.abort(new Error("stopping"));
          }),
        { signal: stop.signal },
      );
      await run();
      expect(await delivery()).toEqual({ state: "pending", attempts: 0, interruptions: 0 });
      expect(await attempts()).toEqual([]);
    },
  );

  test("of a type that only a newer version of its handler knows waits for that version", async () => {
    const ran: string[] = [];
    const newer = outsideHandler((event) => ran.push(event.id), {
      on: ["message.received", "contact.created"] as never,
    });
    const batch = await addBatch(store, [{ id: "evt_1", type: "contact.created" }]);
    await engineOn(store, [newer]).processBatch({ batches: [batch], startedBefore: 0 });
    await runDueEffects(engineOn(store, [outsideHandler(() => ran.push("older"))]));
    expect(await delivery()).toEqual({ state: "pending", attempts: 0, interruptions: 0 });
    await makeDue(store);
    await runDueEffects(engineOn(store, [newer]));
    expect(ran).toEqual(["evt_1"]);
  });

  test("whose worker vanished runs with no other of its handler beside it", async () => {
    let running = 0;
    const beside: string[] = [];
    const { run } = await given(
      async ({ id }) => {
        running++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (running > 1) beside.push(id);
        running--;
      },
      { ids: ["evt_1", "evt_2", "other_1", "other_2", "other_3"] },
    );
    await store.pool.query(`UPDATE penstock.deliveries SET interruptions = 1
      WHERE seq IN (SELECT seq FROM penstock.events WHERE event_id LIKE 'evt%')`);
    await run();
    expect(beside.filter((id) => id.startsWith("evt"))).toEqual([]);
    expect(await rows(store, "SELECT DISTINCT state FROM penstock.deliveries")).toEqual([{ state: "succeeded" }]);
  });

  test("whose claim was answered by nobody is handed back and claimed anew, and no attempt is lost", async () => {
    const real = createEngineStore(store, "deaf");
    let isDeaf = true;
    const deaf: EngineStore = {
      ...real,
      async claimForOutside(options) {
        const started = await real.claimForOutside(options);
        if (isDeaf) {
          isDeaf = false;
          throw Object.assign(new Error("the answer got lost"), { code: "DATABASE_UNAVAILABLE" });
        }
        return started;
      },
    };
    let ran = 0;
    const { run } = await given(() => ran++, { store: deaf });
    expect(await run()).toBe(1);
    expect(ran).toBe(1);
    expect(await delivery()).toEqual({ state: "succeeded", attempts: 1, interruptions: 0 });
    expect(await attempts()).toEqual([]);
  });
});

describe("ctx.once", () => {
  test("does something once for an event: a later try gets what came of it, and so does a second call", async () => {
    const ran: string[] = [];
    const got: unknown[] = [];
    const { run } = await given(async (_, { once, attempt }) => {
      const call = () => once("post", () => ({ n: ran.push(`post ${attempt}`), at: new Date(0) }));
      got.push(...(await Promise.all([call(), call()])), await call());
      if (attempt < 3) throw new Error("later");
    });
    for (let turn = 0; turn < 3; turn++) {
      await run();
      await makeDue(store);
    }
    expect(ran).toEqual(["post 1"]);
    // What JSON makes of it, from the first time on.
    expect(got).toEqual(Array.from({ length: 9 }, () => ({ n: 1, at: "1970-01-01T00:00:00.000Z" })));
    expect(await recorded()).toEqual([{ subscriber: "outside", generation: 0, key: "post", result: got[0] }]);
    expect(await deliveries(store)).toEqual(["evt_1 outside succeeded"]);
  });

  test("does again what failed, in the same try or in a later one", async () => {
    let calls = 0;
    const { run } = await given(async (_, { once }) => {
      const flaky = () => once("post", () => (++calls < 3 ? Promise.reject(new Error(`no ${calls}`)) : calls));
      await flaky().catch(() => undefined);
      expect(await flaky()).toBe(3);
    });
    await run();
    expect(await recorded()).toEqual([]);
    await makeDue(store);
    await run();
    expect(await recorded()).toMatchObject([{ key: "post", result: 3 }]);
    expect(await deliveries(store)).toEqual(["evt_1 outside succeeded"]);
  });

  /** Ends in a later turn of the event loop, so when a handler that does not wait has returned. */
  const slowly = (): Promise<string> => new Promise((resolve) => setImmediate(resolve, "done"));
  const fail = () => Promise.reject(new Error("the outside said no"));

  test.each<[string, (ctx: EffectContext) => unknown, string[]]>([
    ["one call", ({ once }) => void once("a", slowly), ["a"]],
    ["a chain", ({ once }) => void once("a", slowly).then(() => once("b", slowly)), ["a", "b"]],
    [
      "a function that goes on by itself",
      ({ once }) => {
        void (async () => {
          for (const key of ["a", "b", "c"]) await once(key, slowly);
        })();
      },
      ["a", "b", "c"],
    ],
    [
      "a chain that goes on after a failure",
      ({ once, attempt }) => {
        if (attempt === 1) void once("a", fail).catch(() => once("b", slowly));
      },
      ["b"],
    ],
    [
      "a chain that begins with a transaction",
      ({ once, transaction }) => void transaction("a", slowly).then(() => once("b", slowly)),
      ["a", "b"],
    ],
    [
      "calls beside one that failed",
      async ({ once, attempt }) => {
        await Promise.all([once("a", slowly).then(() => once("b", slowly)), attempt === 1 ? fail() : undefined]);
      },
      ["a", "b"],
    ],
  ])("belongs to its try although the handler did not wait for it: %s", async (_what, handle, keys) => {
    const seen: unknown[] = [];
    const { run } = await given((_, ctx) => handle(ctx), {
      schema: "app",
      migrations: { "0001-made-by-the-test": { up: () => Promise.resolve() } },
    });
    await run();
    seen.push(...(await recorded()).map(({ key }) => key));
    expect(seen).toEqual(keys);
    await makeDue(store);
    await run();
    expect(await deliveries(store)).toEqual(["evt_1 outside succeeded"]);
  });

  test.each<[string, (ctx: EffectContext) => unknown]>([
    ["before the handler returned", async ({ once }) => (void once("a", fail), await once("b", slowly))],
    ["after the handler returned", ({ once }) => void once("a", () => slowly().then(fail))],
    ["in a chain", ({ once }) => void once("a", slowly).then(() => once("b", fail).catch(() => undefined))],
  ])("fails its try when it fails and nobody waits for it: %s", async (_when, handle) => {
    const { run } = await given((_, ctx) => handle(ctx));
    await run();
    expect(await attempts()).toMatchObject([{ outcome: "failed", error_message: "the outside said no" }]);
  });

  test("that fails leaves the outcome to the handler, when the handler waits for it", async () => {
    const { run } = await given(async (_, { once }) => {
      await once("a", fail).catch(() => undefined);
    });
    await run();
    expect(await deliveries(store)).toEqual(["evt_1 outside succeeded"]);
  });

  test("is refused once its try is told: nothing is done, and that is said", async () => {
    const lines: string[] = [];
    const late: (() => Promise<unknown>)[] = [];
    const ran: string[] = [];
    const log = createLogger({
      service: "test",
      level: "warn",
      destination: { write: (line) => void lines.push(line) },
    });
    const { run } = await given(
      (_, { once, transaction }) => {
        late.push(
          () => once("b", () => ran.push("b")),
          () => transaction("c", () => Promise.resolve(ran.push("c"))),
        );
        return once("a", () => "done");
      },
      { log, schema: "app", migrations: { "0001-made-by-the-test": { up: () => Promise.resolve() } } },
    );
    await run();
    for (const call of late) {
      await expect(call()).rejects.toMatchObject({
        code: "LEASE_LOST",
        message: expect.stringMatching(/after handler outside had ended.*nothing was done.*await/s) as string,
      });
    }
    expect(ran).toEqual([]);
    expect(lines.join()).toMatch(/"handler":"outside","seq":\d+.*ctx\.once was called .*refused/);
  });

  test.each([
    ["undefined", undefined, null],
    ["NUL and half a character", "\0 \ud800", "\0 \ud800"],
  ])("records %s", async (_, result, expected) => {
    const got: unknown[] = [];
    const { run } = await given(async (_, { once, attempt }) => {
      got.push(await once("post", () => result));
      if (attempt === 1) throw new Error("later");
    });
    await run();
    await makeDue(store);
    await run();
    expect(got).toEqual([expected, expected]);
  });

  test("records null for what is no JSON, says so, and does not do it again", async () => {
    let calls = 0;
    const { run } = await given(async (_, { once }) => {
      await once("post", () => {
        calls++;
        return { n: 1n };
      });
    });
    await run();
    expect(await attempts()).toMatchObject([{ error_message: expect.stringMatching(/"post".*no JSON/) as string }]);
    await makeDue(store);
    await run();
    expect(calls).toBe(1);
    expect(await deliveries(store)).toEqual(["evt_1 outside succeeded"]);
  });

  test.each(["", "a".repeat(201), "a\0b", 7])("refuses %j as a key before it does anything", async (key) => {
    let calls = 0;
    const { run } = await given((_, { once }) => once(key as string, () => calls++));
    await run();
    expect(calls).toBe(0);
    expect(await attempts()).toMatchObject([{ error_message: expect.stringContaining("a key is text") as string }]);
  });

  test("does all anew in another generation, with another idempotency key", async () => {
    const keys: string[] = [];
    const { run } = await given(async (_, { once, idempotencyKey }) => {
      await once("post", () => keys.push(idempotencyKey));
    });
    await run();
    const again = (generation: number) =>
      store.pool.query(
        "UPDATE penstock.deliveries SET state = 'pending', attempts = 0, next_attempt_at = now(), generation = $1",
        [generation],
      );
    await again(0);
    await run();
    expect(keys).toHaveLength(1);
    await again(1);
    await run();
    expect(new Set(keys).size).toBe(2);
    expect(await recorded()).toMatchObject([{ generation: 0 }, { generation: 1 }]);
  });
});

describe("a handler that is paused, or limited", () => {
  test("has its events kept as pending deliveries, runs none of them, and catches up once it goes on", async () => {
    const ran: string[] = [];
    const { run, engine, handler } = await given(({ id }) => ran.push(id), { ids: ["before"] });
    await createEngineStore(store, "w").registerHandlers([{ name: handler.name, kind: "effect", types: handler.on }]);
    expect(await pauseHandler(store, "outside", true, "test")).toMatchObject({ changed: true });
    expect(await run()).toBe(0);
    await engine.processBatch({ batches: [await addBatch(store, [{ id: "during" }])], startedBefore: 0 });
    expect(ran).toEqual([]);
    expect(await deliveries(store)).toEqual(["before outside pending", "during outside pending"]);
    await pauseHandler(store, "outside", false, "test");
    expect(await run()).toBe(2);
    expect(ran.toSorted()).toEqual(["before", "during"]);
  });

  test("whose rate is limited starts no more than that in a period, over all workers", async () => {
    const ran: string[] = [];
    const { handler } = await given(({ id }) => ran.push(id), {
      ids: ["1", "2", "3", "4", "5"],
      rateLimit: { max: 2, perMs: 3_600_000 },
    });
    await createEngineStore(store, "w").registerHandlers([{ name: handler.name, kind: "effect", types: handler.on }]);
    const workers = [engineOn(store, [handler]), engineOn(store, [handler])];
    const startAll = () => Promise.all(workers.map((worker) => worker.startEffects("outside", 10)));
    const started = await startAll();
    await Promise.all(started.flatMap(({ runs }) => runs));
    expect(ran).toHaveLength(2);
    for (const { waitMs } of await startAll()) expect(waitMs).toBeGreaterThan(3_000_000);
    await store.pool.query("UPDATE penstock.handlers SET rate_since = rate_since - interval '1 h'");
    await Promise.all((await startAll()).flatMap(({ runs }) => runs));
    expect(ran).toHaveLength(4);
  });

  test("that nobody has registered cannot be paused", async () => {
    expect(await pauseHandler(store, "nobody", true, "test")).toBeNull();
  });
});

describe("ctx.transaction", () => {
  const schema = { schema: "app", migrations: { "0001-made-by-the-test": { up: () => Promise.resolve() } } };
  const insert = (note: string) => (tx: Transaction<Tables>) =>
    tx.insertInto("effects").values({ handler: "outside", event_id: "evt_1", note }).execute();
  const notes = () => rows(store, "SELECT note FROM app.effects ORDER BY id");

  test("commits what it writes together with its record, and a later try gets that", async () => {
    const seen: unknown[] = [];
    const { run } = await given(async (_, ctx: EffectContext<Tables>) => {
      const decided = await ctx.transaction("decide", async (tx) => {
        await insert(`try ${ctx.attempt}`)(tx);
        return { attempt: ctx.attempt };
      });
      seen.push(decided);
      const again = await ctx.transaction("decide", insert("again"));
      expect(again).toEqual(decided);
      if (ctx.attempt < 2) throw new Error("not yet");
    }, schema);
    await run();
    await makeDue(store);
    await run();
    expect(seen).toEqual([{ attempt: 1 }, { attempt: 1 }]);
    expect(await notes()).toEqual([{ note: "try 1" }]);
    expect(await deliveries(store)).toEqual(["evt_1 outside succeeded"]);
  });

  test.each<[string, (tx: Transaction<Tables>) => Promise<unknown>, RegExp]>([
    ["throws", () => Promise.reject(new Error("changed its mind")), /changed its mind/],
    ["swallows the error of a statement", (tx) => sql`SELECT 1/0`.execute(tx).catch(() => 1), /division by zero/],
    ["returns what is no JSON", () => Promise.resolve(1n), /no JSON/],
    ["commits by itself", (tx) => sql`COMMIT`.execute(tx), /transaction/i],
  ])("keeps nothing of one that %s", async (_what, work, error) => {
    const { run } = await given(
      (_, ctx: EffectContext<Tables>) => ctx.transaction("a", async (tx) => (await insert("a")(tx), await work(tx))),
      schema,
    );
    await run();
    expect(await notes()).toEqual([]);
    expect(await recorded()).toEqual([]);
    expect(await attempts()).toMatchObject([{ error_message: expect.stringMatching(error) as string }]);
  });

  test("keeps nothing of an attempt whose delivery went to another worker meanwhile", async () => {
    const { run } = await given(
      (_, ctx: EffectContext<Tables>) =>
        ctx.transaction("a", async (tx) => {
          await insert("a")(tx);
          await store.pool.query("UPDATE penstock.deliveries SET token = gen_random_uuid()");
        }),
      schema,
    );
    await run();
    expect([await notes(), await recorded()]).toEqual([[], []]);
  });

  test("is run again after a deadlock, and what its connection had committed unheard is not", async () => {
    let rounds = 0;
    const { run } = await given(
      (_, ctx: EffectContext<Tables>) =>
        ctx.transaction("a", async (tx) => {
          await insert(`round ${++rounds}`)(tx);
          // As when COMMIT succeeded and its answer got lost: the record of that round is there by the time of this one's.
          if (rounds === 2) {
            await store.pool.query(
              "INSERT INTO penstock.effects (day, seq, subscriber, generation, key, result) SELECT day, seq, subscriber, 0, 'a', '7' FROM penstock.deliveries",
            );
          }
          if (rounds === 1) throw Object.assign(new Error("deadlock detected"), { code: "40P01" });
        }),
      schema,
    );
    await run();
    expect(rounds).toBe(2);
    expect(await notes()).toEqual([]);
    expect(await recorded()).toMatchObject([{ key: "a", result: 7 }]);
    expect(await delivery()).toEqual({ state: "succeeded", attempts: 1, interruptions: 0 });
  });

  test("that does not end is given up with its handler, and holds up no other", async () => {
    const { run } = await given(
      (event, ctx: EffectContext<Tables>) =>
        ctx.transaction("a", async (tx) => {
          await insert(event.id)(tx);
          if (event.id === "hangs" && ctx.attempt === 1) await new Promise(() => undefined);
        }),
      { ...schema, timeoutMs: 1_000, ids: ["hangs", "goes on"] },
    );
    await run();
    await makeDue(store);
    await run();
    expect((await notes()).map(({ note }) => String(note)).toSorted()).toEqual(["goes on", "hangs"]);
    const held = "SELECT FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()";
    await eventually(async () => expect(await rows(store, held)).toEqual([]));
  });

  test("is refused where there is no schema", async () => {
    const { run } = await given((_, ctx) => ctx.transaction("a", () => Promise.resolve()));
    await run();
    expect(await attempts()).toMatchObject([{ error_message: expect.stringContaining("migrations") as string }]);
  });
});
