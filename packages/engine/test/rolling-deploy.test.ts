import { listHandlers, markHandlersSeen, type Store } from "@penstock/store";
import { eventually } from "@penstock/testing";
import { beforeEach, expect, test } from "vitest";
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

// A rolling deploy: workers of two versions run side by side, each with handlers or event types that the other lacks.

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

const process = async (handlers: Parameters<typeof engineOn>[1], id: string, type?: string): Promise<void> => {
  const batch = await addBatch(store, [{ id, ...(type === undefined ? {} : { type }) }]);
  await engineOn(store, handlers).processBatch({ batches: [batch], startedBefore: 0 });
};

const received = effectHandler({ name: "h", on: ["message.received"] });
const created = effectHandler({ name: "h", on: ["contact.created"] });
const TYPES = ["message.received", "contact.created"] as const;
const both = effectHandler({ name: "h", on: TYPES });

const typesOf = async (name: string): Promise<readonly string[] | undefined> =>
  (await listHandlers(store)).find((handler) => handler.name === name)?.types;

/** Makes a time of every handler, and of these types of theirs, an earlier one. */
const setBack = (interval: string, types: readonly string[], workersToo: boolean): Promise<unknown> =>
  store.pool.query(
    `UPDATE penstock.handlers
        SET seen_at = seen_at - CASE WHEN $3 THEN $1::interval ELSE '0' END,
            types_seen = (SELECT jsonb_object_agg(type, CASE WHEN type = ANY($2::text[]) THEN at - $1::interval ELSE at END)
                            FROM jsonb_each_text(types_seen) AS t (type, seen), LATERAL (SELECT seen::timestamptz AS at) AS s)`,
    [interval, types, workersToo],
  );

test("every event that is accepted after a handler counts as registered has a delivery for it, however long that took", async () => {
  const older = effectHandler({ name: "a" });
  const newer = effectHandler({ name: "b" });
  await register(store, [older]);
  const holder = await store.pool.connect();
  await holder.query("BEGIN; UPDATE penstock.handlers SET seen_at = now() WHERE name = 'a'");
  const registering = register(store, [older, newer]);
  await eventually(async () => {
    expect(await rows(store, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).toHaveLength(1);
  });
  await process([older], "evt_1");
  await holder.query("COMMIT");
  holder.release();
  await registering;
  await process([older], "evt_2");
  const missed = await rows(
    store,
    `SELECT e.event_id FROM penstock.events e, penstock.handlers h
      WHERE e.received_at >= h.registered_at
        AND NOT EXISTS (SELECT FROM penstock.deliveries d WHERE d.day = e.day AND d.seq = e.seq AND d.subscriber = h.name)`,
  );
  expect(missed).toEqual([]);
  expect(await deliveries(store)).toEqual(["evt_1 a succeeded", "evt_2 a succeeded", "evt_2 b pending"]);
  for (const { name, registeredAt } of await listHandlers(store)) {
    expect({ name, registeredAt }).toEqual({ name, registeredAt: expect.any(Date) as Date });
  }
});

test("a handler that subscribes to a further type counts as registered anew, and one that comes back does not", async () => {
  const registeredAt = async (): Promise<Date | null | undefined> => (await listHandlers(store))[0]?.registeredAt;
  await register(store, [received]);
  const first = await registeredAt();
  await register(store, [received]);
  expect(await registeredAt()).toEqual(first);
  await register(store, [both]);
  const second = await registeredAt();
  expect(second?.getTime()).toBeGreaterThan(first?.getTime() ?? Infinity);
  await register(store, [received]);
  expect(await registeredAt()).toEqual(second);
});

test.each([
  { what: "adds a type", older: received, newer: both },
  { what: "drops a type", older: both, newer: received },
  { what: "has other types", older: received, newer: created },
])(
  "what either version of a handler wants has its delivery, where the newer $what, whichever started last",
  async (versions) => {
    const { older, newer } = versions;
    const wanted: string[] = [];
    for (const started of [
      [older, newer],
      [newer, older],
    ]) {
      for (const version of started) await register(store, [version]);
      for (const version of started) {
        for (const type of TYPES) {
          const id = `evt_${wanted.length + 1}`;
          await process([version], id, type);
          wanted.push(`h ${id}`);
        }
      }
    }
    // Each runs what waits and it knows; what it does not know it leaves to the other.
    for (const version of [older, newer]) {
      await store.pool.query("UPDATE penstock.deliveries SET next_attempt_at = now() WHERE state = 'pending'");
      await engineOn(store, [version]).runDueDeliveries(10);
    }
    expect(await effects(store)).toEqual(wanted);
  },
);

test("a type that no worker has subscribed to for ten minutes is waited for no longer", async () => {
  await register(store, [both]);
  await register(store, [received]);
  await setBack("9 min", ["contact.created"], false);
  await markHandlersSeen(store, [{ name: "h", types: received.on }]);
  expect(await typesOf("h")).toEqual(["contact.created", "message.received"]);
  await setBack("2 min", ["contact.created"], false);
  await markHandlersSeen(store, [{ name: "h", types: received.on }]);
  expect(await typesOf("h")).toEqual(["message.received"]);
  await process([received], "evt_1", "contact.created");
  expect(await deliveries(store)).toEqual([]);
});

test("a type of a newer version is still waited for when all workers were away for long and an older one is the first back", async () => {
  await register(store, [both]);
  await setBack("1 day", TYPES, true);
  await register(store, [received]);
  expect(await typesOf("h")).toEqual(["contact.created", "message.received"]);
  // No worker of the newer version has been there for the first minutes of the older one.
  await setBack("5 min", ["contact.created"], false);
  await markHandlersSeen(store, [{ name: "h", types: received.on }]);
  await process([received], "evt_1", "contact.created");
  expect(await deliveries(store)).toEqual(["evt_1 h pending"]);
});

test("a handler that was removed is not registered by a worker that says that it is still there", async () => {
  await markHandlersSeen(store, [{ name: "h", types: received.on }]);
  expect(await listHandlers(store)).toEqual([]);
});
