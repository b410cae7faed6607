import { ApiError, type Client } from "@penstock/client";
import { advanceIssues, createEngineStore } from "@penstock/store";
import { recordAnswers } from "@penstock/store/intake";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConsoleUnderTest, startConsole } from "./console-under-test.ts";

let console: ConsoleUnderTest;
let operator: Client;
let viewer: Client;
beforeAll(async () => {
  console = await startConsole();
  operator = await console.as("operator");
  viewer = await console.as("viewer");
  await console.store.pool.query(`
    INSERT INTO penstock.handlers (name, kind, types) VALUES ('inbox', 'transactional', '{x}'), ('gone', 'effect', '{x}');
    UPDATE penstock.handlers SET seen_at = now() - interval '1 hour' WHERE name = 'gone';`);
  for (const [errorClass, first, last] of [
    ["TypeError", 1, 3],
    ["RangeError", 4, 4],
  ] as const) {
    await console.store.pool.query(
      `WITH came AS (
         INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
         SELECT n, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', 'evt_' || n, 'x', '{}', 0, 0
           FROM generate_series($2::int, $3::int) AS n RETURNING day, seq
       ), died AS (
         INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
         SELECT day, seq, 'inbox', 'dead', 1 FROM came RETURNING *
       )
       INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker)
       SELECT day, seq, 'inbox', 1, now(), now(), 'failed', $1, 'no name', 'w' FROM died`,
      [errorClass, first, last],
    );
    await advanceIssues(console.store);
  }
});
afterAll(() => console.close());

const idOf = async (title: string): Promise<number> => {
  const { items } = await viewer.call("GET /issues", { query: { state: "all" } });
  return items.find((issue) => issue.title.startsWith(title))!.id;
};

/** How a call was refused. */
async function refusal(call: Promise<unknown>): Promise<[number, string]> {
  const error: unknown = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof ApiError ? [error.status, error.message] : [0, String(error)];
}

test("issues are listed page by page, and shown with their occurrences", async () => {
  const first = await viewer.call("GET /issues", { query: { limit: 1 } });
  expect(first.items).toMatchObject([{ title: "RangeError: no name", count: 1, left: 1, state: "open" }]);
  const second = await viewer.call("GET /issues", { query: { limit: 1, cursor: first.next! } });
  expect(second).toMatchObject({ items: [{ title: "TypeError: no name", count: 3, left: 3 }], next: null });
  const shown = await viewer.call("GET /issues/{id}", { path: { id: second.items[0]!.id } });
  expect(shown).toMatchObject({ example: { eventId: "evt_3", source: "buzzbip" }, hours: [{ count: 3 }], retries: [] });
  expect(await refusal(viewer.call("GET /issues/{id}", { path: { id: 999 } }))).toEqual([404, "There is no issue 999"]);
  expect((await refusal(viewer.call("GET /issues", { query: { cursor: "x" } })))[0]).toBe(400);
});

test("an issue is changed by operators, and what cannot be is refused with the reason", async () => {
  const path = { id: await idOf("RangeError") };
  expect((await refusal(viewer.call("POST /issues/{id}/acknowledge", { path, body: {} })))[0]).toBe(403);
  const changed = await operator.call("POST /issues/{id}/acknowledge", { path, body: { note: "mine" } });
  expect(changed).toMatchObject({
    state: "acknowledged",
    note: "mine",
    changedBy: expect.stringContaining("operator"),
  });
  expect(await refusal(operator.call("POST /issues/{id}/acknowledge", { path, body: {} }))).toEqual([
    409,
    "The issue is acknowledged",
  ]);
  expect(await operator.call("POST /issues/{id}/resolve", { path, body: {} })).toMatchObject({ state: "resolved" });
  const { items } = await viewer.call("GET /issues", { query: {} });
  expect(items.map(({ title }) => title)).toEqual(["TypeError: no name"]);
  expect(await operator.call("POST /issues/{id}/reopen", { path, body: {} })).toMatchObject({ state: "open" });
});

test("all of an issue is retried, after a count, and what has not begun is put back", async () => {
  const path = { id: await idOf("TypeError") };
  expect(await viewer.call("GET /issues/{id}/retry", { path })).toMatchObject({ total: 3 });
  const { retry } = await operator.call("POST /issues/{id}/retry", { path });
  await createEngineStore(console.store, "test").transaction((tx) => tx.nextReplayPage());
  expect(await viewer.call("GET /issues/{id}", { path })).toMatchObject({
    left: 0,
    retrying: 3,
    retries: [{ id: retry, status: "running", enqueued: 3, done: 0 }],
  });
  expect((await refusal(operator.call("POST /issues/{id}/retry", { path })))[0]).toBe(409);
  const undone = await operator.call("POST /issues/{id}/retries/{retry}/cancel", { path: { ...path, retry } });
  expect(undone).toEqual({ undone: 3, cancelled: 0 });
  expect(await viewer.call("GET /issues/{id}", { path })).toMatchObject({ left: 3, retrying: 0 });
  expect(
    (await refusal(operator.call("POST /issues/{id}/retries/{retry}/cancel", { path: { ...path, retry } })))[0],
  ).toBe(409);
});

test("the overview tells what needs attention, and how much is going on", async () => {
  // Two ingests, one with other buckets; then of a minute long ago, and of one too long ago.
  const upToMs = [1, 5, 10];
  await recordAnswers(console.store, { upToMs, counts: [50, 45, 4, 0], unavailable: 0 }, 0);
  await recordAnswers(console.store, { upToMs, counts: [40, 60, 0, 0], unavailable: 2 }, 0);
  await recordAnswers(console.store, { upToMs: [10, 20], counts: [0, 0, 1], unavailable: 0 }, 0);
  await recordAnswers(console.store, { upToMs, counts: [0, 0, 0, 9], unavailable: 0 }, 3_000_000);
  await recordAnswers(console.store, { upToMs, counts: [0, 0, 0, 9], unavailable: 9 }, 90_000_000);
  await recordAnswers(console.store, { upToMs, counts: [0, 0, 0, 0], unavailable: 1 }, 3_000_000);
  const overview = await viewer.call("GET /overview");
  expect(overview.attention.map(({ title }) => title)).toEqual(["RangeError: no name", "TypeError: no name"]);
  expect(overview).toMatchObject({
    moreIssues: false,
    acknowledged: 0,
    pendingEvents: 0,
    deliveries: [{ subscriber: "inbox", state: "dead", count: 4 }],
    failures: [{ subject: "inbox", hours: [{ count: 4 }] }],
    idleHandlers: ["gone"],
  });
  const { acknowledgements } = overview;
  // 200 in all: the 100th is the 10th of 105 between 1 and 5 ms, the 198th the 3rd of 4 between 5 and 10.
  expect(acknowledgements).toMatchObject({ acknowledged: 200, unavailable: 2 });
  expect(acknowledgements.p50Ms).toBeCloseTo(1 + (4 * 10) / 105, 5);
  expect(acknowledgements.p99Ms).toBeCloseTo(5 + (5 * 3) / 4, 5);
  expect(acknowledgements.perMinute).toMatchObject([
    { acknowledged: 9, p50Ms: 10, p99Ms: 10, unavailable: 1 },
    ...acknowledgements.perMinute.slice(1),
  ]);
  const { rows } = await console.store.pool.query(
    "SELECT 1 FROM penstock.acknowledgement_minutes WHERE minute < now() - interval '1 day'",
  );
  expect(rows).toEqual([]);
  expect(overview.accepted.bucketMs).toBe(60_000);
  expect(overview.accepted.perBucket.length).toBeGreaterThanOrEqual(55);
});
