import { randomUUID } from "node:crypto";
import type { Engine, EngineStore } from "@penstock/engine";
import {
  defineHandler,
  type EventOf,
  type Handler,
  type HandlerDefinition,
  PermanentError,
} from "@penstock/handler-sdk";
import {
  changeDeliveries,
  createEngineStore,
  createReplay,
  createStore,
  type DeliveryChange,
  listDeliveries,
  type Store,
} from "@penstock/store";
import { eventually } from "@penstock/testing";
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { isUnavailable } from "../src/outage/errors.ts";
import { addBatch, engineOn, openTestStore, register, rows, runDueEffects } from "./engine-under-test.ts";
import { createLaneHistory, type LaneEvent, type LaneHistory } from "./lane-history.ts";

// The same runs every time; a failure prints the seed and the path to its smallest example.
const SEED = 4711;
const RUNS = { seed: SEED, numRuns: 8 };
const TIMEOUT_MS = 300_000;

// For each test its own: one that ran out of time would go on in the next one's.
let store: Store;
/** What workers have; an outage cuts all its connections, and none of the test's own. */
let workersStore: Store;
beforeEach(async () => {
  store = await openTestStore();
  const { connectionString = "" } = store.pool.options;
  workersStore = createStore({ connectionString, applicationName: WORKERS, maxConnections: 12, sources: ["buzzbip"] });
  return async () => {
    await workersStore.close();
    await store.close();
  };
});

const WORKERS = "lanes-worker";

/** What becomes of an event: how often it fails before it succeeds, or that it never will. */
interface Fate extends LaneEvent {
  readonly failures: number | "dead";
  /** Whether it fails by taking too long. */
  readonly hangs: boolean;
}

// Few lanes and few times, so that events meet and tie.
const fates: fc.Arbitrary<readonly Fate[]> = fc
  .array(
    fc.record({
      lane: fc.constantFrom("a", "b"),
      at: fc.oneof({ weight: 9, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.constant(Infinity) }),
      failures: fc.oneof(
        { weight: 6, arbitrary: fc.constant(0) },
        { weight: 3, arbitrary: fc.integer({ min: 1, max: 2 }) },
        { weight: 1, arbitrary: fc.constant("dead" as const) },
      ),
      hangs: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
    { minLength: 3, maxLength: 14 },
  )
  .map((all) =>
    all.map(({ at, ...one }, n) => {
      const date = at === Infinity ? "2999-01-01T00:00:00Z" : `2026-06-01T12:00:0${at}Z`;
      return { ...one, id: `evt_${n}`, at: Date.parse(date) };
    }),
  );

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("accept" as const),
      count: fc.integer({ min: 1, max: 5 }),
      startedBefore: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("run" as const), turns: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("vanish" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("expire" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("outage" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("due" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      what: fc.constantFrom<DeliveryChange | "replay">("retry", "skip", "cancel", "replay"),
      nth: fc.nat(20),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** Each inner list is done side by side, by workers of its own. */
const schedule = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 8 });

const RULES = {
  "strict, blocked by the dead": { order: "strict", onDead: "block" },
  "strict, past the dead": { order: "strict", onDead: "continue" },
  "newest-wins": { order: "newest-wins" },
} as const;

test.each(
  (["transactional", "effect"] as const).flatMap((kind) =>
    Object.entries(RULES).map(([name, rule]) => ({ name, kind, rule })),
  ),
)(
  "$kind lanes, $name: whatever fails, hangs, vanishes, comes late, is cut off or is repaired, nothing is lost or out of order",
  async ({ kind, rule }) => {
    await fc.assert(
      fc.asyncProperty(fates, schedule, async (events, groups) => {
        await clear();
        const strict = rule.order === "strict" ? rule.onDead : null;
        const trial = createTrial(kind, rule, events, createLaneHistory(strict));
        for (const group of groups) await Promise.all(group.map((each) => trial.perform(each)));
        await trial.drain();
        expect(trial.history.violations).toEqual([]);
        await checkEffects(trial.history, events);
        if (strict === null) await checkNewest(trial.history, events);
      }),
      RUNS,
    );
  },
  TIMEOUT_MS,
);

async function clear(): Promise<void> {
  await store.pool.query(`
    TRUNCATE penstock.events, penstock.event_keys, penstock.pending, penstock.deliveries, penstock.attempts,
             penstock.effects, penstock.lanes, penstock.replays, app.effects`);
}

type Rule = (typeof RULES)[keyof typeof RULES];

function createTrial(kind: Handler["kind"], rule: Rule, events: readonly Fate[], history: LaneHistory) {
  const byId = new Map(events.map((event) => [event.id, event]));
  const tries = new Map<string, number>();
  /** When the claim that took a delivery was asked for, by seq. */
  const claims = new Map<number, number>();
  let accepted = 0;

  /** What a worker has, with claims written down. */
  function watchedStore(): EngineStore {
    const real = createEngineStore(workersStore, "test-worker");
    return {
      ...real,
      async claimLanes(options) {
        const asked = history.now();
        const claimed = await real.claimLanes(options);
        for (const { seq } of claimed) claims.set(seq, asked);
        return claimed;
      },
      async claimForOutside(options) {
        const asked = history.now();
        const started = await real.claimForOutside(options);
        for (const { delivery } of started.claimed) claims.set(delivery.seq, asked);
        return started;
      },
    };
  }

  async function worker(): Promise<Engine> {
    const definition = {
      ...rule,
      kind,
      name: "laned",
      on: ["message.received"],
      schema: "app",
      retry: { attempts: 100, baseMs: 3_600_000 },
      timeoutMs: 500,
      lane: (event: EventOf<"message.received">) => event.data.contactId,
      async handle({ id, seq }: { id: string; seq: number }, ctx: Context) {
        const event = byId.get(id)!;
        const count = tries.get(id) ?? 0;
        tries.set(id, count + 1);
        history.add("started", event, claims.get(seq));
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        if (event.failures === "dead" || count < event.failures) {
          const isDead = event.failures === "dead";
          if (event.hangs && !isDead) await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
          history.add(isDead ? "died" : "failed", event);
          throw isDead ? new PermanentError("never") : new Error("not yet");
        }
        const effect = { handler: "laned", event_id: id };
        try {
          if (ctx.tx) await ctx.tx.insertInto("effects").values(effect).execute();
          else await store.pool.query("INSERT INTO app.effects (handler, event_id) VALUES ('laned', $1)", [id]);
        } catch (error) {
          history.add("failed", event); // an outage
          throw error;
        }
        history.add("succeeded", event);
      },
    };
    const handler = defineHandler(definition as unknown as HandlerDefinition<"message.received">);
    await register(store, [handler]);
    return engineOn(workersStore, [handler], { store: watchedStore(), afterOutageMs: 0 });
  }

  async function accept(batch: readonly Fate[], startedBefore = false): Promise<void> {
    if (batch.length === 0) return;
    const made = batch.map(({ id, lane, at }) => ({ id, subject: lane, createdAt: new Date(at).toISOString() }));
    await (
      await worker()
    ).processBatch({ batches: [await addBatch(store, made)], startedBefore: startedBefore ? 1 : 0 });
    // Another worker may have taken them along, and be about to commit.
    await eventually(async () => {
      const found = await listDeliveries(store, {}, { limit: 100 });
      expect(found.filter(({ eventId }) => batch.some(({ id }) => id === eventId))).toHaveLength(batch.length);
    });
    const arrived = await rows<{ id: string; seq: number }>(
      store,
      "SELECT event_id AS id, seq::int FROM penstock.events",
    );
    for (const { id, seq } of arrived) {
      const event = batch.find((each) => each.id === id);
      if (event) history.accepted(event, seq);
    }
  }

  async function run(turns: number): Promise<void> {
    const engine = await worker();
    for (let turn = 0, more = true; more && turn < turns; turn++) {
      try {
        if (kind === "effect") more = (await runDueEffects(engine, "laned")) > 0;
        else more = (await engine.runLaneHead("laned")) || (await engine.runInterruptedDelivery());
      } catch (error) {
        if (!isUnavailable(error)) throw error;
      }
    }
  }

  /** Takes the head of a lane, as a worker does that dies at once. */
  async function vanish(): Promise<void> {
    const onDead = rule.order === "strict" ? rule.onDead : "continue";
    const options = { order: rule.order, onDead, subscriber: "laned", leaseMs: 3_600_000, interrupted: false };
    for (const { seq } of await createEngineStore(store, "lost").claimLanes({ ...options, limit: 1 })) {
      const [event] = await rows<{ id: string }>(
        store,
        `SELECT event_id AS id FROM penstock.events WHERE seq = ${seq}`,
      );
      history.add("vanished", byId.get(event!.id)!);
    }
  }

  /** Cuts all connections of workers; what was committed meanwhile, nobody has told them. */
  const outage = () =>
    store.pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [WORKERS]);

  /** Has leases run out: of workers that vanished; once nothing runs, also those of claims whose answer got lost. */
  async function expire(all = false): Promise<void> {
    const lost = await rows<{ id: string }>(
      store,
      `UPDATE penstock.deliveries d SET lease_until = now() - interval '1 s' FROM penstock.events e
        WHERE e.day = d.day AND e.seq = d.seq AND d.state = 'running' AND (${all} OR d.lease_until > now() + interval '30 min')
       RETURNING e.event_id AS id`,
    );
    for (const { id } of lost) history.add("expiring", byId.get(id)!);
    const { dead } = await (await worker()).reclaimDeliveries().catch((error: unknown) => {
      if (!isUnavailable(error)) throw error;
      return { dead: [] };
    });
    for (const { seq } of dead) history.lost(seq);
  }

  /** Only what has a time of its own: what waits for its turn must be woken by the lane. */
  const due = () =>
    store.pool.query(
      `UPDATE penstock.deliveries SET next_attempt_at = now()
        WHERE state IN ('pending', 'retrying') AND next_attempt_at > now()`,
    );

  async function change(what: DeliveryChange | "replay", event: Fate | undefined): Promise<void> {
    const [found] = event === undefined ? [] : await listDeliveries(store, { event: event.id });
    if (event === undefined || found === undefined) return;
    history.add(what === "replay" ? "retry" : what, event);
    if (what !== "replay") return void (await changeDeliveries(store, what, [found], { actor: "test" }));
    // What has succeeded would have a second effect, as it should.
    const state = found.state === "skipped" || found.state === "cancelled" ? found.state : "dead";
    await createReplay(store, { id: randomUUID(), request: {}, event: found, state }, "test");
    while (await (await worker()).advanceReplay());
  }

  return {
    history,
    async perform(one: Step): Promise<void> {
      switch (one.do) {
        case "accept":
          return accept(events.slice(accepted, (accepted += one.count)), one.startedBefore);
        case "run":
          return run(one.turns);
        case "vanish":
          return vanish();
        case "expire":
          return expire();
        case "outage":
          return void (await outage());
        case "due":
          return void (await due());
        case "change":
          return change(one.what, events[one.nth]);
      }
    },
    /** Lets everything come to its end. */
    async drain(): Promise<void> {
      await accept(events.slice(accepted));
      for (let turn = 0; turn < 100; turn++) {
        await expire(true);
        await due();
        await run(events.length);
        const open = await rows<{ state: string; id: string }>(
          store,
          `SELECT d.state, e.event_id AS id FROM penstock.deliveries d JOIN penstock.events e USING (day, seq)
            WHERE d.state IN ('pending', 'running', 'retrying', 'dead') ORDER BY d.lane_at, d.seq`,
        );
        if (open.every(({ state }) => state === "dead")) return;
        // An operator comes by and unblocks what is blocked.
        const dead = open.find(({ state }) => state === "dead");
        if (dead !== undefined && rule.order === "strict") await change("skip", byId.get(dead.id));
      }
      throw new Error(`something waits for ever: ${JSON.stringify(await listDeliveries(store, {}, { limit: 100 }))}`);
    },
  };
}

interface Context {
  readonly signal: AbortSignal;
  readonly tx?: { insertInto: (table: string) => Insert };
}

interface Insert {
  values(row: object): { execute(): Promise<unknown> };
}

/** Each event that succeeded has one effect, and every other one has none. */
async function checkEffects(history: LaneHistory, events: readonly Fate[]): Promise<void> {
  const found = await rows<{ id: string }>(store, "SELECT event_id AS id FROM app.effects ORDER BY event_id");
  const succeeded = events.filter((event) => history.has(event, "succeeded")).map(({ id }) => id);
  expect(found.map(({ id }) => id)).toEqual(succeeded.toSorted());
  const states = await listDeliveries(store, { state: "succeeded" }, { limit: 100 });
  expect(states.map(({ eventId }) => eventId ?? "").toSorted()).toEqual(succeeded.toSorted());
}

/** What took effect last is the newest of all that took effect, and what did not was older, dead or an operator's. */
async function checkNewest(history: LaneHistory, events: readonly Fate[]): Promise<void> {
  const places = await rows<{ id: string; lane: string; at: Date; seq: number; nth: string | null; state: string }>(
    store,
    `SELECT e.event_id AS id, d.lane, d.lane_at AS at, d.seq::int, f.id AS nth, d.state
       FROM penstock.deliveries d JOIN penstock.events e USING (day, seq) LEFT JOIN app.effects f USING (event_id)
      WHERE d.lane_at <= e.received_at ORDER BY f.id`,
  );
  expect(places).toHaveLength(events.length);
  for (const lane of ["a", "b"]) {
    const applied = places.filter((place) => place.lane === lane && place.nth !== null).map(({ at }) => at.getTime());
    expect(applied).toEqual(applied.toSorted((a, b) => a - b));
    for (const { id, at, state } of places.filter((place) => place.lane === lane && place.nth === null)) {
      const event = events.find((each) => each.id === id)!;
      if (history.has(event, "died", "skip", "cancel")) continue;
      expect({ id, state, isOlder: at.getTime() < (applied.at(-1) ?? 0) }).toEqual({
        id,
        state: "skipped",
        isOlder: true,
      });
    }
  }
}
