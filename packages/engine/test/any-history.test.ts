import { hash } from "node:crypto";
import type { Engine, EngineStore } from "@penstock/engine";
import type { Handler } from "@penstock/handler-sdk";
import { makeEvent } from "@penstock/schemas/fixtures";
import { createEngineStore, findUnqueuedBatches, type Store } from "@penstock/store";
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { addBatch, effectHandler, engineOn, openTestStore, pendingCount, rows } from "./engine-under-test.ts";

// The same runs every time; a failure prints the seed and the path to its smallest example.
const RUNS = { seed: 4711, numRuns: 25 };
const TIMEOUT_MS = 300_000;

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

/** An event as it is sent: few ids and few bodies, so that copies and conflicts are many. */
const sent = fc.record({ id: fc.constantFrom("a", "b", "c", "d", "e"), body: fc.nat(2) });
type Sent = typeof sent extends fc.Arbitrary<infer One> ? One : never;

/** What a worker does: it processes a batch, or runs what is due, and may die before or after it commits. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("send" as const), events: fc.array(sent, { minLength: 1, maxLength: 6 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("process" as const),
      nth: fc.nat(5),
      dies: fc.constantFrom("never", "never", "before", "after"),
      startedBefore: fc.constantFrom(0, 0, 0, 1, 3),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("run" as const), dies: fc.constantFrom("never", "before", "after") }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reclaim" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** Each inner list is done side by side, by workers of its own. */
const history = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 8 });
/** By handler and id, how often it fails at first. */
const fates = fc.dictionary(fc.constantFrom("x a", "x b", "y a", "y c", "y d"), fc.integer({ min: 1, max: 3 }));

const bodyOf = ({ id, body }: Sent): Buffer =>
  Buffer.from(
    JSON.stringify(makeEvent("message.received", { id, createdAt: "2026-06-01T12:00:00Z", data: { body: `${body}` } })),
  );
const toHash = (body: Buffer): string => hash("sha256", body, "hex");

test(
  "whatever is sent again, conflicts, fails or dies: each event takes effect once, each other body is kept once",
  async () => {
    await fc.assert(
      fc.asyncProperty(history, fates, async (groups, failures) => {
        await store.pool.query(`
          TRUNCATE penstock.batches, penstock.pending, penstock.events, penstock.event_keys, penstock.deliveries,
                   penstock.attempts, penstock.quarantine, app.effects`);
        const trial = createTrial(failures);
        for (const group of groups) await Promise.all(group.map((each) => trial.perform(each)));
        await trial.drain();
        await check(trial.sent);
      }),
      RUNS,
    );
  },
  TIMEOUT_MS,
);

function createTrial(failures: Readonly<Record<string, number>>) {
  const left = new Map(Object.entries(failures));
  const all: Sent[] = [];

  function handler(name: string): Handler {
    return effectHandler({
      name,
      retry: { attempts: 100, baseMs: 3_600_000, capMs: 3_600_000 },
      async handle({ id }, { tx }) {
        const key = `${name} ${id}`;
        const failing = left.get(key) ?? 0;
        if (failing > 0) {
          left.set(key, failing - 1);
          throw new Error("not yet");
        }
        await tx.insertInto("effects").values({ handler: name, event_id: id }).execute();
      },
    });
  }

  /** A worker, which can die: then nothing of what it had under way is known, as with a process that is killed. */
  function worker(dies = "never"): Engine {
    const real = createEngineStore(store, "w");
    const dead = new AbortController();
    const die = (): never => {
      dead.abort(new Error("it died"));
      throw new Error("it died");
    };
    const dying: EngineStore = {
      ...real,
      async transaction(fn) {
        const result = await real.transaction(async (tx) => {
          const done = await fn(tx);
          return dies === "before" ? die() : done;
        });
        return dies === "after" ? die() : result;
      },
      releaseDeliveries: (deliveries) => (dead.signal.aborted ? Promise.resolve() : real.releaseDeliveries(deliveries)),
    };
    return engineOn(store, [handler("x"), handler("y")], { store: dying, signal: dead.signal, afterOutageMs: 0 });
  }

  async function perform(one: Step): Promise<void> {
    if (one.do === "send") {
      all.push(...one.events);
      await addBatch(
        store,
        one.events.map((event) => ({ id: event.id, body: bodyOf(event) })),
      );
    } else if (one.do === "process") {
      const waiting = await findUnqueuedBatches(store, { olderThanMs: 0 });
      const batch = waiting[one.nth % Math.max(1, waiting.length)] ?? 1;
      const { startedBefore } = one;
      await worker(one.dies)
        .processBatch({ batches: [batch], startedBefore })
        .catch(() => undefined);
    } else if (one.do === "run") {
      await worker(one.dies)
        .runDueDeliveries(10)
        .catch(() => undefined);
    } else {
      await store.pool.query(
        "UPDATE penstock.deliveries SET lease_until = now() - interval '1 s' WHERE state = 'running'",
      );
      await worker().reclaimDeliveries();
    }
  }

  /** What one worker does that lives on. Leases that killed workers left run out, and no delivery dies of that here. */
  async function drain(): Promise<void> {
    const last = worker();
    for (;;) {
      await last.processBatch({ batches: await findUnqueuedBatches(store, { olderThanMs: 0 }), startedBefore: 0 });
      await store.pool.query(`
        UPDATE penstock.deliveries SET state = 'pending', token = NULL, lease_until = NULL, attempts = 0, interruptions = 0
         WHERE state IN ('running', 'retrying', 'dead');
        UPDATE penstock.deliveries SET next_attempt_at = now() WHERE state = 'pending'`);
      const ran = await last.runDueDeliveries(200);
      if (ran === 0 && (await pendingCount(store)) === 0) return;
    }
  }

  return { perform, drain, sent: all };
}

async function check(sentEvents: readonly Sent[]): Promise<void> {
  const bodies = new Map<string, Set<string>>();
  for (const one of sentEvents) bodies.set(one.id, (bodies.get(one.id) ?? new Set()).add(toHash(bodyOf(one))));
  const stored = await rows<{ id: string; problem: string | null; body: Buffer }>(
    store,
    "SELECT event_id AS id, problem, penstock.body_of(day, seq, body_at, body_bytes) AS body FROM penstock.events",
  );
  for (const [id, expected] of bodies) {
    const found = stored.filter((event) => event.id === id);
    expect(found.filter(({ problem }) => problem === null)).toHaveLength(1);
    expect(found.map(({ body }) => toHash(body)).toSorted()).toEqual([...expected].toSorted());
  }
  expect(stored.filter(({ id }) => !bodies.has(id))).toEqual([]);
  const conflicts = "SELECT count(*)::int AS n FROM penstock.quarantine WHERE reason = 'id-conflict'";
  expect(await rows(store, conflicts)).toEqual([{ n: stored.length - bodies.size }]);
  const took = await rows<{ line: string }>(store, "SELECT handler || ' ' || event_id AS line FROM app.effects");
  expect(took.map(({ line }) => line).toSorted()).toEqual(
    [...bodies.keys()].flatMap((id) => [`x ${id}`, `y ${id}`]).toSorted(),
  );
  // A batch of which nothing is left is not kept.
  const empty = `SELECT FROM penstock.batches b
                  WHERE NOT EXISTS (SELECT FROM penstock.events e WHERE e.day = b.day AND e.seq / 1024 = b.batch)`;
  expect(await rows(store, empty)).toEqual([]);
}
