import { randomUUID } from "node:crypto";
import type { DeliveryResult, DeliveryState } from "@penstock/engine";
import { changeDeliveries, createEngineStore, DELIVERY_STATES, pauseHandler, type Store } from "@penstock/store";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { addBatch, engineOn, openTestStore, rows } from "./engine-under-test.ts";

// One database for all: each test has a delivery in each state, of events of its own.
let store: Store;
let engineStore: ReturnType<typeof createEngineStore>;
beforeAll(async () => {
  store = await openTestStore();
  engineStore = createEngineStore(store, "states");
  await engineStore.registerHandlers([{ name: "h", kind: "effect", types: [] }]);
  const batch = await addBatch(
    store,
    DELIVERY_STATES.map(() => ({})),
  );
  await engineOn(store, []).processBatch({ batches: [batch], startedBefore: 0 });
  return () => store.close();
});

interface Subject {
  readonly day: string;
  readonly seq: number;
  readonly subscriber: string;
  readonly state: DeliveryState;
  readonly token: string;
}

let subjects: Subject[];
beforeEach(async () => {
  await store.pool.query("TRUNCATE penstock.deliveries, penstock.attempts, penstock.effects");
  await store.pool.query("UPDATE penstock.handlers SET paused_at = NULL");
  const events = await rows<{ day: string; seq: number }>(
    store,
    "SELECT day::text, seq::int FROM penstock.events ORDER BY seq",
  );
  subjects = DELIVERY_STATES.map((state, at) => ({ ...events[at]!, subscriber: "h", state, token: randomUUID() }));
  for (const { day, seq, state, token } of subjects) {
    const [waits, runs] = [state === "pending" || state === "retrying", state === "running"];
    await store.pool.query(
      `INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, next_attempt_at, lease_until, token)
       VALUES ($1, $2, 'h', $3, 2, CASE WHEN $4 THEN now() END, CASE WHEN $5 THEN now() + interval '1 hour' END, $6)`,
      [day, seq, state, waits, runs, runs ? token : null],
    );
  }
});

const claimed = ({ day, seq, subscriber, token }: Subject) => ({
  day,
  seq,
  subscriber,
  token,
  lane: null,
  attempt: 2,
  generation: 0,
  replay: null,
  traceparent: null,
  lastAttempt: null,
  onRecord: false,
});
const finish = (to: DeliveryResult["state"]) => (subject: Subject) =>
  engineStore.finishDeliveries([
    {
      delivery: claimed(subject),
      result: {
        event: subject,
        subscriber: "h",
        state: to,
        attempts: 2,
        ...(to === "pending" || to === "retrying" ? { retryInMs: 1 } : {}),
      },
    },
  ]);
const fresh = { subscriber: "h", limit: 100, leaseMs: 60_000, interrupted: false };
const lanes = { order: "strict", onDead: "block" } as const;
const claim = () => engineStore.claimDeliveries(fresh);
const claimForOutside = () => engineStore.claimForOutside({ ...fresh, lanes });
const token = randomUUID();
const change = (what: "retry" | "skip" | "cancel") => (subject: Subject) =>
  changeDeliveries(store, what, [subject], { actor: "test" });
const sql = (set: string) => store.pool.query(`UPDATE penstock.deliveries SET ${set}`);
const reclaim = () => engineStore.reclaimDeliveries({ maxInterruptions: 3, afterOutageMs: 0 });

interface Step {
  readonly step: string;
  readonly given?: () => Promise<unknown>;
  readonly act: (subject: Subject) => Promise<unknown>;
  /** What it makes of which state; all others stay as they are. */
  readonly arrows: Partial<Record<DeliveryState, DeliveryState>>;
}

const CLAIMED = { pending: "running", retrying: "running" } as const;

test.each<Step>([
  ...[claim, claimForOutside].flatMap((act): Step[] => [
    { step: `a worker claims (${act.name})`, act, arrows: CLAIMED },
    {
      step: `what is not due is not claimed (${act.name})`,
      given: () => sql("next_attempt_at = next_attempt_at + interval '1 h'"),
      act,
      arrows: {},
    },
    {
      step: `what is paused is not claimed (${act.name})`,
      given: () => pauseHandler(store, "h", true, "test"),
      act,
      arrows: {},
    },
    {
      step: `what was interrupted is claimed as such only (${act.name})`,
      given: () => sql("interruptions = 1"),
      act,
      arrows: {},
    },
  ]),
  ...(["succeeded", "retrying", "dead", "pending"] as const).flatMap((to): Step[] => [
    { step: `a result makes it ${to}`, act: finish(to), arrows: { running: to } },
    {
      step: `the result ${to} of another's token changes nothing`,
      given: () => sql("token = gen_random_uuid()"),
      act: finish(to),
      arrows: {},
    },
  ]),
  {
    step: "a worker hands back",
    act: (subject) => engineStore.releaseDeliveries([claimed(subject)]),
    arrows: { running: "retrying" },
  },
  {
    step: "a worker hands back a first try",
    given: () => sql("attempts = 1"),
    act: (subject) => engineStore.releaseDeliveries([claimed(subject)]),
    arrows: { running: "pending" },
  },
  {
    step: "a worker hands back what a claim took whose answer got lost",
    given: () => sql(`token = CASE WHEN token IS NOT NULL THEN '${token}'::uuid END`),
    act: () => engineStore.releaseClaim({ subscriber: "h", token }),
    arrows: { running: "retrying" },
  },
  {
    step: "a worker hands back what a claim took, and nothing of another's",
    act: () => engineStore.releaseClaim({ subscriber: "h", token }),
    arrows: {},
  },
  {
    step: "what is another's is not handed back",
    given: () => sql("token = gen_random_uuid()"),
    act: (subject) => engineStore.releaseDeliveries([claimed(subject)]),
    arrows: {},
  },
  { step: "a lease that runs is not taken", act: reclaim, arrows: {} },
  {
    step: "a lease ran out",
    given: () => sql("lease_until = lease_until - interval '2 h'"),
    act: reclaim,
    arrows: { running: "retrying" },
  },
  {
    step: "a lease ran out for the third time",
    given: () => sql("lease_until = lease_until - interval '2 h', interruptions = 2"),
    act: reclaim,
    arrows: { running: "dead" },
  },
  {
    step: "an operator retries",
    act: change("retry"),
    arrows: { retrying: "pending", dead: "pending", skipped: "pending", cancelled: "pending" },
  },
  {
    step: "an operator skips",
    act: change("skip"),
    arrows: { pending: "skipped", retrying: "skipped", dead: "skipped" },
  },
  { step: "an operator cancels", act: change("cancel"), arrows: { pending: "cancelled", retrying: "cancelled" } },
])("$step: $arrows, and no other arrow", async ({ given, act, arrows }) => {
  await given?.();
  for (const subject of subjects) await act(subject);
  const found = await rows<{ seq: number; state: DeliveryState; held: boolean; leased: boolean; waits: boolean }>(
    store,
    `SELECT seq::int, state, token IS NOT NULL AS held, lease_until IS NOT NULL AS leased,
            next_attempt_at IS NOT NULL AS waits FROM penstock.deliveries`,
  );
  const became = Object.fromEntries(
    subjects.map(({ seq, state }) => [state, found.find((row) => row.seq === seq)?.state]),
  );
  expect(became).toEqual(Object.fromEntries(DELIVERY_STATES.map((state) => [state, arrows[state] ?? state])));
  // Whatever the arrow: a token and a lease while it runs, a time while it waits.
  for (const { state, waits } of found)
    expect({ state, waits }).toEqual({ state, waits: state === "pending" || state === "retrying" });
  if (given === undefined) {
    for (const { state, held, leased } of found)
      expect({ state, held, leased }).toEqual({ state, held: state === "running", leased: state === "running" });
  }
});

describe("a record of what was done once", () => {
  test("is written while the delivery runs under this token, and in no other state", async () => {
    for (const subject of subjects) await engineStore.recordEffect(claimed(subject), subject.state, "1");
    expect(await rows(store, "SELECT key FROM penstock.effects")).toEqual([{ key: "running" }]);
  });

  test("is not written under another's token, and once when the answer to it got lost", async () => {
    const running = subjects.find(({ state }) => state === "running")!;
    expect(await engineStore.recordEffect({ ...claimed(running), token: randomUUID() }, "a", "1")).toBe(false);
    expect(await engineStore.recordEffect(claimed(running), "b", "1")).toBe(true);
    expect(await engineStore.recordEffect(claimed(running), "b", "2")).toBe(true);
    expect(await rows(store, "SELECT key, result FROM penstock.effects")).toEqual([{ key: "b", result: 1 }]);
  });
});

test("the first record of a delivery fails when there is one: its effect is there, too", async () => {
  for (const subject of subjects) {
    const result = { event: subject, subscriber: "h", state: "succeeded", attempts: 1 } as const;
    await expect(engineStore.transaction(async (tx) => tx.recordAtCommit([result], []))).rejects.toMatchObject({
      code: "23505",
    });
  }
});
