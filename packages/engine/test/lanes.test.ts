import type { Engine, EngineOptions } from "@penstock/engine";
import { defineHandler, type EventOf, type Handler, type HandlerDefinition } from "@penstock/handler-sdk";
import {
  cancelReplay,
  changeDeliveries,
  createEngineStore,
  createReplay,
  createStore,
  type DeliveryChange,
  listDeliveries,
  listLanes,
  type Store,
} from "@penstock/store";
import { eventually } from "@penstock/testing";
import { beforeEach, describe, expect, test } from "vitest";
import {
  addBatch,
  deliveries,
  engineOn,
  makeDue,
  openTestStore,
  register,
  rows,
  runDueEffects,
} from "./engine-under-test.ts";

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

type Received = EventOf<"message.received">;
/** What is declared of lanes, and what `handle` does beside writing down that it ran. */
type Declared = Pick<HandlerDefinition<"message.received">, "order" | "onDead" | "retry" | "timeoutMs"> & {
  readonly lane?: (event: Received) => unknown;
  readonly handle?: (event: Received, attempt: number) => unknown;
};

const at = (second: number): string => new Date(Date.parse("2026-06-01T12:00:00Z") + second * 1_000).toISOString();

describe.each(["transactional", "effect"] as const)("lanes of a handler of kind %s", (kind) => {
  /** Every call, in order: the event's id, with `!` where it failed. */
  let calls: string[];
  beforeEach(() => void (calls = []));

  function laned({ lane = (event) => event.data.contactId, handle, ...declared }: Declared = {}): Handler {
    const definition = {
      kind,
      name: "laned",
      on: ["message.received"],
      schema: "app",
      retry: { attempts: 3, baseMs: 1, capMs: 3_600_000 },
      lane,
      ...declared,
      async handle(event: Received, { attempt }: { attempt: number }) {
        try {
          await handle?.(event, attempt);
          calls.push(event.id);
        } catch (error) {
          calls.push(`${event.id}!`);
          throw error;
        }
      },
    };
    // Half of these tests are of what the compiler would not let pass.
    return defineHandler(definition as unknown as HandlerDefinition<"message.received">);
  }

  const failing = (...ids: string[]): Declared => ({
    retry: { attempts: 2, baseMs: 3_600_000 },
    handle: ({ id }) => (ids.includes(id) ? Promise.reject(new Error(`${id} fails`)) : undefined),
  });

  async function accept(engine: Engine, ...events: Parameters<typeof addBatch>[1][number][]): Promise<void> {
    await engine.processBatch({ batches: [await addBatch(store, events)], startedBefore: 0 });
  }

  /** Runs what is due until nothing is. */
  async function runAll(engine: Engine): Promise<void> {
    if (kind === "effect") while ((await runDueEffects(engine, "laned")) > 0);
    else while ((await engine.runLaneHead("laned")) || (await engine.runDueDeliveries(10)) > 0);
  }

  async function change(what: DeliveryChange, event: string): Promise<void> {
    expect(await changeDeliveries(store, what, await listDeliveries(store, { event }), { actor: "test" })).toHaveLength(
      1,
    );
  }

  const start = (declared?: Declared, options?: Partial<EngineOptions>): Engine =>
    engineOn(store, [laned(declared)], options);
  const late = async (): Promise<string[]> =>
    (await listDeliveries(store)).filter((row) => row.late).map(({ eventId }) => eventId ?? "");
  const due = () => store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now() WHERE state = 'retrying'");

  test("are not run in the batch, and each runs by the date of its events and then by arrival, one at a time", async () => {
    let running = 0;
    const handle = async ({ data }: Received): Promise<void> => {
      if (data.contactId === "a") expect(++running).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (data.contactId === "a") running--;
    };
    const engines = [start({ handle }), start({ handle })];
    await accept(
      engines[0]!,
      { id: "a3", subject: "a", createdAt: at(3) },
      { id: "b1", subject: "b", createdAt: at(9) },
      { id: "a1", subject: "a", createdAt: at(1) },
      { id: "a2", subject: "a", createdAt: at(2) },
      { id: "a2-too", subject: "a", createdAt: at(2) },
    );
    expect(calls).toEqual([]);
    await Promise.all(engines.flatMap((engine) => [runAll(engine), runAll(engine)]));
    // Whoever came while a lane ran found nothing to do.
    await runAll(engines[0]!);
    expect(calls.filter((id) => id !== "b1")).toEqual(["a1", "a2", "a2-too", "a3"]);
    expect(calls).toHaveLength(5);
    expect(await late()).toEqual([]);
  });

  test("wait while their head fails, and others do not", async () => {
    const engine = start(failing("a1"));
    await accept(engine, { id: "a1", subject: "a" }, { id: "a2", subject: "a" }, { id: "b1", subject: "b" });
    await runAll(engine);
    expect(calls.toSorted()).toEqual(["a1!", "b1"]);
    await accept(engine, { id: "a3", subject: "a" });
    await runAll(engine);
    expect(calls).toHaveLength(2);
    expect(await deliveries(store)).toEqual([
      "a1 laned retrying",
      "a2 laned pending",
      "a3 laned pending",
      "b1 laned succeeded",
    ]);
  });

  test.each<[NonNullable<Declared["onDead"]>, readonly string[]]>([
    ["block", ["a1!", "a1!"]],
    ["continue", ["a1!", "a1!", "a2", "a3"]],
  ])("whose head is dead do as they are told: %s", async (onDead, expected) => {
    const engine = start({ ...failing("a1"), onDead });
    await accept(engine, { id: "a1" }, { id: "a2" });
    await runAll(engine);
    await due();
    await runAll(engine);
    await accept(engine, { id: "a3" });
    await runAll(engine);
    expect(calls).toEqual(expected);
  });

  test.each<[DeliveryChange, string, readonly string[]]>([
    ["skip", "dead", ["a2", "a3"]],
    ["skip", "retrying", ["a2", "a3"]],
    ["cancel", "retrying", ["a2", "a3"]],
    ["retry", "dead", ["a1", "a2", "a3"]],
    ["retry", "retrying", ["a1", "a2", "a3"]],
  ])("go on when an operator does %s to a head that is %s", async (what, state, expected) => {
    let healed = false;
    const engine = start({
      ...failing(),
      handle: ({ id }) => (id === "a1" && !healed ? Promise.reject(new Error("ill")) : undefined),
    });
    await accept(engine, { id: "a1" }, { id: "a2" }, { id: "a3" });
    await runAll(engine);
    if (state === "dead") {
      await due();
      await runAll(engine);
    }
    expect(await deliveries(store)).toContain(`a1 laned ${state}`);
    healed = true;
    calls = [];
    await change(what, "a1");
    await runAll(engine);
    expect(calls).toEqual(expected);
  });

  test("run what is older and comes later next: late when a newer one has succeeded, not late while it only failed", async () => {
    const engine = start(failing("a5"));
    await accept(engine, { id: "a3", createdAt: at(3) }, { id: "a5", createdAt: at(5) });
    await runAll(engine);
    await accept(
      engine,
      { id: "a4", createdAt: at(4) },
      { id: "a1", createdAt: at(1) },
      { id: "a6", createdAt: at(6) },
    );
    await runAll(engine);
    expect(calls).toEqual(["a3", "a5!", "a1", "a4"]);
    expect(await late()).toEqual(["a1"]);
  });

  test("go by what is committed when the head is claimed: what is older and committed before it runs goes next, and is late", async () => {
    const real = createEngineStore(store, "test-worker");
    let between: (() => Promise<void>) | undefined = () => accept(start(), { id: "a1", createdAt: at(1) });
    async function afterwards<T>(claiming: Promise<T>): Promise<T> {
      const claimed = await claiming;
      const todo = between;
      between = undefined;
      await todo?.();
      return claimed;
    }
    const engine = start(undefined, {
      store: {
        ...real,
        claimLanes: (options) => afterwards(real.claimLanes(options)),
        claimForOutside: (options) => afterwards(real.claimForOutside(options)),
      },
    });
    await accept(engine, { id: "a2", createdAt: at(2) }, { id: "a3", createdAt: at(3) });
    await runAll(engine);
    expect(calls).toEqual(["a2", "a1", "a3"]);
    expect(await late()).toEqual(["a1"]);
  });

  test("go by what is committed, and not by when its batch began", async () => {
    const held: (() => void)[] = [];
    const neighbour = defineHandler({
      name: "neighbour",
      on: ["message.received"],
      schema: "app",
      handle: ({ id }) => (id === "a1" ? new Promise<void>((resolve) => held.push(resolve)) : undefined),
    });
    const engine = engineOn(store, [laned(), neighbour]);
    const first = accept(engine, { id: "a1", createdAt: at(1) });
    await eventually(() => expect(held).toHaveLength(1));
    await accept(engine, { id: "a2", createdAt: at(2) });
    await runAll(engine);
    expect(calls).toEqual(["a2"]);
    await accept(engine, { id: "a3", createdAt: at(3) });
    held[0]?.();
    await first;
    await runAll(engine);
    expect(calls).toEqual(["a2", "a1", "a3"]);
  });

  test("are not blinded by a date in the future: what comes after it is not late", async () => {
    const engine = start();
    await accept(engine, { id: "future", createdAt: "2999-01-01T00:00:00Z" });
    await runAll(engine);
    await accept(engine, { id: "next", createdAt: new Date(Date.now() + 1_000).toISOString() });
    await runAll(engine);
    expect(calls).toEqual(["future", "next"]);
    expect(await late()).toEqual([]);
  });

  describe("where the newest wins", () => {
    test("the newest runs, what is older than that is skipped and says why, and what is as new runs", async () => {
      const engine = start({ order: "newest-wins" });
      await accept(
        engine,
        { id: "a1", createdAt: at(1) },
        { id: "a3", createdAt: at(3) },
        { id: "a2", createdAt: at(2) },
      );
      await runAll(engine);
      await accept(engine, { id: "old", createdAt: at(2) }, { id: "equal", createdAt: at(3) });
      await runAll(engine);
      expect(calls).toEqual(["a3", "equal"]);
      expect(await deliveries(store)).toEqual([
        "a1 laned skipped",
        "a2 laned skipped",
        "a3 laned succeeded",
        "equal laned succeeded",
        "old laned skipped",
      ]);
      const skipped = await listDeliveries(store, { state: "skipped" });
      const reason = "older than what its lane has applied, which is of 2026-06-01T12:00:03.000Z";
      expect(skipped.map(({ skipReason }) => skipReason)).toEqual([reason, reason, reason]);
    });

    test("of several that are as new the one that came last wins", async () => {
      const engine = start({ order: "newest-wins" });
      await accept(engine, ...["a", "b", "c"].map((id) => ({ id, createdAt: at(1) })));
      await runAll(engine);
      expect(calls).toEqual(["a", "b", "c"]);
    });

    test("one that fails is tried alone, and overtaken by a newer one", async () => {
      const engine = start({ ...failing("a2"), order: "newest-wins" });
      await accept(engine, { id: "a1", createdAt: at(1) }, { id: "a2", createdAt: at(2) });
      await runAll(engine);
      expect(calls).toEqual(["a2!"]);
      await accept(engine, { id: "a3", createdAt: at(3) });
      await runAll(engine);
      expect(calls).toEqual(["a2!", "a3"]);
      expect(await deliveries(store)).toEqual(["a1 laned skipped", "a2 laned skipped", "a3 laned succeeded"]);
    });

    test("one that is dead is passed by", async () => {
      const engine = start({ ...failing("a2"), order: "newest-wins" });
      await accept(engine, { id: "a1", createdAt: at(1) }, { id: "a2", createdAt: at(2) });
      await runAll(engine);
      await due();
      await runAll(engine);
      expect(calls).toEqual(["a2!", "a2!", "a1"]);
    });

    test("a date in the future counts as the time of receipt", async () => {
      const engine = start({ order: "newest-wins" });
      await accept(engine, { id: "future", createdAt: "2999-01-01T00:00:00Z" });
      await runAll(engine);
      await accept(engine, { id: "next", createdAt: new Date(Date.now() + 60_000).toISOString() });
      await runAll(engine);
      expect(calls).toEqual(["future", "next"]);
    });

    test("thousands that were overtaken are skipped", async () => {
      const engine = start({ order: "newest-wins" });
      await accept(engine, { id: "a1", createdAt: at(1) }, { id: "a2", createdAt: at(2) });
      await store.pool.query(
        `INSERT INTO penstock.deliveries (day, seq, subscriber, state, lane, lane_at)
         SELECT day, seq - n, subscriber, 'pending', lane, lane_at - interval '1 hour' FROM penstock.deliveries,
                generate_series(1000, 4000) AS n WHERE seq = (SELECT max(seq) FROM penstock.events)`,
      );
      await runAll(engine);
      expect(calls).toEqual(["a2"]);
      const states = "SELECT state, count(*)::int AS n FROM penstock.deliveries GROUP BY 1 ORDER BY 1";
      expect(await rows(store, states)).toEqual([
        { state: "skipped", n: 3_002 },
        { state: "succeeded", n: 1 },
      ]);
    });
  });

  describe("that cannot be told", () => {
    function throwing(): never {
      throw new TypeError("no contact");
    }

    test.each<[string, () => unknown, RegExp]>([
      ["throws", throwing, /^lane\(\) of handler laned threw TypeError: no contact$/],
      [
        "returns nothing",
        (): unknown => undefined,
        /must return a string, or null for no lane, and returned undefined$/,
      ],
      ["returns a number", (): unknown => 7, /returned number$/],
      ["returns a promise", (): unknown => Promise.reject(new Error("nobody hears this")), /returned a promise$/],
    ])(
      "since the function %s, fail the delivery and no other, and run once that is mended",
      async (_, wrong, message) => {
        let mended = false;
        const lane = (event: Received): unknown => (mended || event.id !== "bad" ? event.data.contactId : wrong());
        const engine = start({ ...failing(), lane });
        await accept(engine, { id: "bad" }, { id: "good" });
        await runAll(engine);
        expect(calls).toEqual(["good"]);
        expect(await deliveries(store)).toEqual(["bad laned retrying", "good laned succeeded"]);
        const attempts = await rows(store, "SELECT error_class, error_message FROM penstock.attempts");
        expect(attempts).toEqual([
          { error_class: "LaneError", error_message: expect.stringMatching(message) as string },
        ]);
        mended = true;
        await makeDue(store);
        await runAll(engine);
        expect(calls).toEqual(["good", "bad"]);
        expect((await listDeliveries(store, { event: "bad" }))[0]?.lane).toBe("cnt_1");
      },
    );

    test("since that may be what kills the process, are found when the delivery runs, which is blamed then", async () => {
      let told = 0;
      const engine = start({ lane: (event) => (told++, event.data.contactId) });
      const batch = await addBatch(store, [{ id: "a" }]);
      await engine.processBatch({ batches: [batch], startedBefore: 3 });
      expect(told).toBe(0);
      expect(await deliveries(store)).toEqual(["a laned pending"]);
      await runAll(engine);
      expect(calls).toEqual(["a"]);
      expect((await listDeliveries(store))[0]?.lane).toBe("cnt_1");
    });

    test("since the worker of the batch lacks the handler, are found by one that has it", async () => {
      const engine = start();
      await createEngineStore(store, "w").registerHandlers([{ name: "laned", kind, types: ["message.received"] }]);
      const other = engineOn(store, []);
      await accept(other, { id: "a2", createdAt: at(2) }, { id: "a1", createdAt: at(1) });
      expect((await listDeliveries(store)).map(({ lane }) => lane)).toEqual([null, null]);
      if (kind === "effect") await runDueEffects(engine, "laned");
      else await engine.runDueDeliveries(10);
      await runAll(engine);
      expect(calls).toEqual(["a1", "a2"]);
    });
  });

  test("null is no lane: it waits for nothing", async () => {
    const engine = start({ ...failing("a1"), lane: (event) => (event.id === "free" ? null : "a") });
    await accept(engine, { id: "a1" }, { id: "a2" }, { id: "free" });
    await runAll(engine);
    expect(calls.toSorted()).toEqual(["a1!", "free"]);
  });

  test("are told apart whatever their keys are", async () => {
    const keys = [
      "",
      " ",
      "\0",
      "\u001b[31m",
      "\ud800",
      "\ud801",
      "x".repeat(5_000),
      `${"x".repeat(5_000)}y`,
      "ä",
      "~",
    ];
    const engine = start({ ...failing(), lane: (event) => keys[Number(event.id)] });
    await accept(engine, ...keys.map((_, id) => ({ id: String(id) })));
    await runAll(engine);
    expect(calls).toHaveLength(keys.length);
    const lanes = (await listDeliveries(store)).map(({ lane }) => lane ?? "");
    expect(new Set(lanes).size).toBe(keys.length);
    for (const lane of lanes) expect(lane).toMatch(/^[^\p{C}]{1,120}$/u);
    expect(lanes).toEqual(expect.arrayContaining(["ä", "~", expect.stringMatching(/^x{60}~[0-9a-f]{32}$/)]));
  });

  test("go on where a worker was stopped, and run what came meanwhile and is older first", async () => {
    const stop = new AbortController();
    let begun = (): void => undefined;
    const running = new Promise<void>((resolve) => (begun = resolve));
    const handle = (): Promise<void> => {
      begun();
      return new Promise(() => undefined);
    };
    const stopping = start({ handle }, { signal: stop.signal });
    await accept(stopping, { id: "a2", createdAt: at(2) });
    const run = runAll(stopping).catch(() => undefined);
    await running;
    const engine = start();
    await accept(engine, { id: "a1", createdAt: at(1) });
    await runAll(engine);
    expect(calls).toEqual([]);
    stop.abort(new Error("stopping"));
    await run;
    await runAll(engine);
    expect(calls.filter((id) => !id.endsWith("!"))).toEqual(["a1", "a2"]);
  });

  test("whose worker vanished wait for its delivery, which runs alone, and in its turn", async () => {
    const engine = start({}, { afterOutageMs: 0 });
    await accept(engine, { id: "a2", createdAt: at(2) }, { id: "a3", createdAt: at(3) });
    await claimHead();
    await accept(engine, { id: "a1", createdAt: at(1) }, { id: "a4", createdAt: at(4) });
    await runAll(engine);
    expect(calls).toEqual([]);
    await store.pool.query(
      "UPDATE penstock.deliveries SET lease_until = now() - interval '1 s' WHERE state = 'running'",
    );
    expect(await engine.reclaimDeliveries()).toMatchObject({ retrying: 1, dead: [] });
    for (let turn = 0; turn < 4; turn++) {
      await runAll(engine);
      if (kind === "transactional") await engine.runInterruptedDelivery();
    }
    expect(calls).toEqual(["a1", "a2", "a3", "a4"]);
  });

  /** Takes the head of the only lane that is due, as a worker does that is never heard of again. */
  async function claimHead(): Promise<void> {
    const lost = createEngineStore(store, "lost");
    const options = {
      order: "strict",
      onDead: "block",
      subscriber: "laned",
      leaseMs: 60_000,
      interrupted: false,
    } as const;
    expect(await lost.claimLanes({ ...options, limit: 5 })).toHaveLength(1);
  }

  test("go on when a replay is cancelled that their head has failed in", async () => {
    const handlers = [laned(failing("e1"))];
    await register(store, handlers);
    const engine = engineOn(store, handlers);
    await accept(engine, { id: "e1", createdAt: at(1) });
    await runAll(engine);
    await change("skip", "e1");
    await createReplay(store, { id: "again", request: {}, state: "skipped" }, "test");
    while (await engine.advanceReplay());
    await accept(engine, { id: "e2", createdAt: at(2) });
    await runAll(engine);
    expect(calls).toEqual(["e1!", "e1!"]);
    expect(await cancelReplay(store, "again", "test")).toEqual({ undone: 0, cancelled: 1 });
    await runAll(engine);
    expect(calls).toEqual(["e1!", "e1!", "e2"]);
  });

  test("have what a replay does again in its place, and go on without it when that is cancelled", async () => {
    const handlers = [laned({ order: "newest-wins" })];
    await register(store, handlers);
    const engine = engineOn(store, handlers);
    await accept(engine, { id: "e1", createdAt: at(1) });
    await runAll(engine);
    await accept(engine, { id: "e2", createdAt: at(2) });
    await runAll(engine);
    await createReplay(store, { id: "all", request: {} }, "test");
    while (await engine.advanceReplay());
    await runAll(engine);
    // The older one would undo what the newer one has done.
    expect(calls).toEqual(["e1", "e2", "e2"]);
    await createReplay(store, { id: "once more", request: {} }, "test");
    while (await engine.advanceReplay());
    // The older one is skipped now, which a replay leaves at that.
    expect(await cancelReplay(store, "once more", "test")).toEqual({ undone: 1, cancelled: 0 });
    await accept(engine, { id: "e3", createdAt: at(3) });
    await runAll(engine);
    expect(calls).toEqual(["e1", "e2", "e2", "e3"]);
  });

  test("are listed with their head, what is the matter with it, and how many wait", async () => {
    const handlers = [laned({ ...failing("a1"), lane: (event) => event.data.contactId })];
    await register(store, handlers);
    const engine = engineOn(store, handlers);
    await accept(engine, { id: "a1", subject: "a" }, { id: "a2", subject: "a" }, { id: "b1", subject: "b" });
    const brief = async () =>
      (await listLanes(store)).map(({ lane, state, head, waiting, error }) =>
        [lane, state, head.eventId, head.state, waiting, error].join(" "),
      );
    expect(await brief()).toEqual(["a waiting a1 pending 1 ", "b waiting b1 pending 0 "]);
    await runAll(engine);
    expect(await brief()).toEqual(["a blocked a1 retrying 1 Error: a1 fails"]);
    await due();
    await runAll(engine);
    expect(await brief()).toEqual(["a blocked a1 dead 1 Error: a1 fails"]);
    await change("skip", "a1");
    await claimHead();
    expect(await brief()).toEqual(["a running a2 running 0 "]);
    expect(await listLanes(store, { handler: "other" })).toEqual([]);
    expect(await listLanes(store, { state: "blocked" })).toEqual([]);
  });
});

describe("a claim", () => {
  const claim = (limit = 10, by = store) =>
    createEngineStore(by, "claims").claimLanes({
      order: "strict",
      onDead: "block",
      subscriber: "h",
      leaseMs: 60_000,
      interrupted: false,
      limit,
    });
  const seed = (lanes: readonly string[], each = 2) =>
    store.pool.query(
      `INSERT INTO penstock.deliveries (day, seq, subscriber, state, lane, lane_at, next_attempt_at)
       SELECT (now() AT TIME ZONE 'UTC')::date, 100 * l + n, 'h', 'pending', lane, now() + n * interval '1 s',
              CASE WHEN n = 1 THEN now() - interval '1 s' END
         FROM unnest($1::text[]) WITH ORDINALITY AS lanes (lane, l), generate_series(1, $2::int) AS n`,
      [lanes, each],
    );

  test("takes the heads of many lanes, of each one, and not more than it is asked for", async () => {
    await seed(["a", "b", "c", "d", "e"]);
    const first = await claim(3);
    expect(first.map(({ seq }) => seq % 100)).toEqual([1, 1, 1]);
    const second = await claim();
    expect(new Set([...first, ...second].map(({ lane }) => lane))).toEqual(new Set(["a", "b", "c", "d", "e"]));
    expect(await claim()).toEqual([]);
  });

  test("passes by lanes that somebody else holds, and does not wait for them", async () => {
    await seed(["a", "b"]);
    await store.pool.query("INSERT INTO penstock.lanes (subscriber, lane) VALUES ('h', 'a'), ('h', 'b')");
    const other = await store.pool.connect();
    await other.query("BEGIN; SELECT FROM penstock.lanes WHERE lane = 'a' FOR UPDATE");
    expect((await claim()).map(({ lane }) => lane)).toEqual(["b"]);
    await other.query("ROLLBACK");
    other.release();
    expect((await claim()).map(({ lane }) => lane)).toEqual(["a"]);
  });

  describe("that began before its lane changed", () => {
    let slow: Store;
    let gate: { release(): Promise<void> };
    beforeEach(async () => {
      await seed(["a"]);
      await store.pool.query("INSERT INTO penstock.lanes (subscriber, lane) VALUES ('h', 'a')");
      // Holds a claim up that has begun and has not locked anything yet: where it asks whether the handler is paused.
      await store.pool.query(`
        CREATE FUNCTION app.hold_up() RETURNS boolean LANGUAGE plpgsql SET lock_timeout = 0 AS $$
          BEGIN
            IF current_setting('application_name') = 'held' THEN PERFORM pg_advisory_xact_lock(1); END IF;
            RETURN true;
          END $$;
        ALTER TABLE penstock.handlers RENAME TO all_handlers;
        INSERT INTO penstock.all_handlers (name, kind, types) VALUES ('h', 'effect', '{}');
        CREATE VIEW penstock.handlers AS SELECT * FROM penstock.all_handlers WHERE app.hold_up()`);
      const { connectionString = "" } = store.pool.options;
      slow = createStore({ connectionString, applicationName: "held", maxConnections: 1 });
      const client = await store.pool.connect();
      await client.query("SELECT pg_advisory_lock(1)");
      gate = { release: async () => client.release(Boolean(await client.query("SELECT pg_advisory_unlock(1)"))) };
      return () => slow.close();
    });

    /** Starts a claim, lets something happen once it has begun, and says what it took. */
    async function claimAround(happen: () => Promise<unknown>): Promise<number[]> {
      const held = claim(1, slow);
      try {
        await eventually(async () => {
          const waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
          expect((await store.pool.query(waiting)).rowCount).toBe(1);
        });
        await happen();
      } finally {
        await gate.release();
      }
      return (await held).map(({ seq }) => seq);
    }

    const take = async () => (await claim())[0]!;
    const finish = (head: Awaited<ReturnType<typeof take>>) =>
      createEngineStore(store, "claims").finishDeliveries([
        { delivery: head, result: { event: head, subscriber: "h", state: "succeeded", attempts: 1 } },
      ]);

    test("takes no second one beside what came meanwhile, is older and runs", async () => {
      const taken = await claimAround(async () => {
        await store.pool.query(
          `INSERT INTO penstock.deliveries (day, seq, subscriber, state, lane, lane_at, next_attempt_at)
           SELECT day, 100, 'h', 'pending', lane, lane_at - interval '1 h', now() FROM penstock.deliveries WHERE seq = 101`,
        );
        expect((await take()).seq).toBe(100);
      });
      expect(taken).toEqual([]);
    });

    test("lays nothing to rest that waited for what has ended meanwhile", async () => {
      const head = await take();
      await makeDue(store);
      expect(await claimAround(() => finish(head))).toEqual([]);
      expect((await take()).seq).toBe(102);
    });
  });

  test("finds many lanes due by turns, and lays to rest what wakes lanes that are busy or blocked", async () => {
    await seed(["a", "b"], 5);
    await claim();
    await makeDue(store);
    expect(await claim()).toEqual([]);
    expect(await rows(store, "SELECT FROM penstock.deliveries WHERE next_attempt_at IS NOT NULL")).toEqual([]);
  });
});
