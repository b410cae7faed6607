import { IntakeUnavailableError, type Intake, type VerifiedEvent } from "@penstock/intake";
import { openQueue } from "@penstock/queue";
import type { Store } from "@penstock/store";
import { eventually, type ServerUnderTest, startPostgres, startRedis } from "@penstock/testing";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  committedRows,
  intakeOn,
  migrateAt,
  openStore,
  recordedRows,
  verified,
  verifiedMany,
} from "./intake-under-test.ts";

let server: ServerUnderTest;
let store: Store;

beforeAll(async () => {
  server = await startPostgres();
  await migrateAt(server.url);
  store = openStore(server.url);
});
afterEach(async () => {
  await server.thaw();
  await server.start();
  await eventually(() => store.ping());
});
afterAll(() => store.close());

/** How long a call took and what it rejected with, if it did. */
async function timed(call: () => Promise<unknown>): Promise<{ ms: number; error: unknown }> {
  const before = performance.now();
  const error: unknown = await call().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { ms: performance.now() - before, error };
}

/** How often each event is stored. What a frozen database was sent may arrive late: there can be others, too. */
async function timesStored(events: readonly VerifiedEvent[]): Promise<number[]> {
  const rows = await recordedRows(store);
  return events.map(({ identity }) => rows.filter(({ event_id }) => event_id === identity.id).length);
}

const once = (events: readonly VerifiedEvent[]): number[] => events.map(() => 1);

/** Sends each again, as a provider does, until it is taken. */
async function retryAll(intake: Intake, events: readonly VerifiedEvent[]): Promise<void> {
  await Promise.all(events.map((event) => eventually(() => intake.accept(event))));
}

test("while Postgres is down every event is refused at once; afterwards a retry is stored, once", async () => {
  const { intake } = intakeOn(store);
  const events = verifiedMany(20);
  await intake.accept(events[0]!);
  await server.stop();
  for (const { ms, error } of await Promise.all(events.map((event) => timed(() => intake.accept(event))))) {
    expect(error).toBeInstanceOf(IntakeUnavailableError);
    expect(ms).toBeLessThan(4_000);
  }
  await server.start();
  await retryAll(intake, events);
  expect(await timesStored(events)).toEqual(once(events));
});

test("while Postgres is frozen no sender waits longer than the deadline, also behind others; afterwards a retry is stored, once", async () => {
  const { intake } = intakeOn(store, { deadlineMs: 3_000, maxBatchEvents: 10 });
  const events = verifiedMany(60);
  await server.freeze();
  const waves = [0, 1_500].map(async (afterMs, at) => {
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    return Promise.all(events.slice(at * 30, at * 30 + 30).map((event) => timed(() => intake.accept(event))));
  });
  for (const { ms, error } of (await Promise.all(waves)).flat()) {
    expect(error).toBeInstanceOf(IntakeUnavailableError);
    expect(ms).toBeGreaterThan(2_900);
    expect(ms).toBeLessThan(5_400);
  }
  await server.thaw();
  await retryAll(intake, events);
  expect(await timesStored(events)).toEqual(once(events));
});

test("what was acknowledged before Postgres crashed is there after it", async () => {
  const { intake } = intakeOn(store);
  const acknowledged: string[] = [];
  let crashed = false;
  const senders = Array.from({ length: 8 }, async () => {
    while (!crashed) {
      const event = verified();
      const { error } = await timed(() => intake.accept(event));
      if (error === undefined) acknowledged.push(event.identity.id!);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  });
  await eventually(() => expect(acknowledged.length).toBeGreaterThan(200));
  await server.kill();
  crashed = true;
  await Promise.all(senders);
  await server.start();
  await eventually(() => store.ping());
  const stored = new Set((await committedRows(store)).map(({ event_id }) => event_id));
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
});

test("a batch that runs into a time-out of the database is not tried again", async () => {
  const impatient = openStore(server.url, { statementTimeoutMs: 300 });
  const { intake, commits } = intakeOn(impatient);
  const blocker = await store.pool.connect();
  try {
    await blocker.query("BEGIN; LOCK TABLE penstock.batches");
    const events = verifiedMany(20);
    for (const { ms, error } of await Promise.all(events.map((event) => timed(() => intake.accept(event))))) {
      expect(error).toBeInstanceOf(IntakeUnavailableError);
      expect(ms).toBeLessThan(5_000);
    }
    expect(commits).toEqual([20]);
    await blocker.query("COMMIT");
    await retryAll(intake, events);
    expect(await timesStored(events)).toEqual(once(events));
  } finally {
    blocker.release(true);
    await impatient.close();
  }
});

test("close waits no longer than the deadline for a database that does not answer", async () => {
  const { intake } = intakeOn(store, { deadlineMs: 1_000, maxBatchEvents: 10 });
  await server.freeze();
  const accepted = Promise.all(verifiedMany(50).map((event) => timed(() => intake.accept(event))));
  expect((await timed(() => intake.close())).ms).toBeLessThan(3_500);
  for (const { error } of await accepted) expect(error).toBeInstanceOf(IntakeUnavailableError);
});

test.each(["stop", "freeze"] as const)(
  "events are acknowledged and pending although the queue is away (%s)",
  async (away) => {
    const redis = await startRedis();
    const queue = openQueue({ kind: "redis", url: redis.url }, () => Promise.reject(new Error("none")) as never, {
      addTimeoutMs: 3_000,
    });
    const { intake } = intakeOn(store, { queue });
    await intake.accept(verified());
    await redis[away]();
    const events = verifiedMany(20);
    for (const { ms, error } of await Promise.all(events.map((event) => timed(() => intake.accept(event))))) {
      expect(error).toBeUndefined();
      expect(ms).toBeLessThan(2_500);
    }
    const pending = new Set(
      (await committedRows(store)).filter((row) => row.batch !== null).map((row) => row.event_id),
    );
    expect(events.filter(({ identity }) => !pending.has(identity.id))).toEqual([]);
    expect((await timed(() => intake.close())).ms).toBeLessThan(9_000);
    await queue.close();
  },
);
