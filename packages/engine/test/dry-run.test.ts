import { dryRun, type DryRunReport } from "@penstock/engine";
import type { Handler, TransactionalHandler } from "@penstock/handler-sdk";
import { rehearse, type Store } from "@penstock/store";
import { sql } from "kysely";
import { beforeEach, expect, test } from "vitest";
import {
  addBatch,
  effectHandler,
  engineOn,
  findSource,
  openTestStore,
  rows,
  type TestEvent,
} from "./engine-under-test.ts";

let store: Store;
beforeEach(async () => {
  store = await openTestStore();
  return () => store.close();
});

/** Everything that the database holds, table by table. */
async function everything(): Promise<unknown[]> {
  const tables = await rows<{ name: string }>(
    store,
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  );
  return Promise.all(
    tables.map(({ name }) =>
      rows(
        store,
        `SELECT '${name}' AS name, count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM ${name} AS t`,
      ),
    ),
  );
}

async function received(...events: TestEvent[]): Promise<{ day: string; seq: number }[]> {
  await engineOn(store, []).processBatch({ batches: [await addBatch(store, events)], startedBefore: 0 });
  return rows(store, "SELECT day::text, seq::int FROM penstock.events ORDER BY seq");
}

/** A dry run of each event, after which the database holds what it held before. */
async function dryRuns(handler: Handler, events: { day: string; seq: number }[]): Promise<DryRunReport[]> {
  const before = await everything();
  const reports: DryRunReport[] = [];
  for (const event of events) {
    reports.push(
      await dryRun(
        {
          store: { rehearse: (fn) => rehearse(store, fn) },
          handler: handler as TransactionalHandler,
          findSource,
          signal: new AbortController().signal,
        },
        event,
      ),
    );
  }
  expect(await everything()).toEqual(before);
  return reports;
}

test("a dry run tells rows by table and the statements in order, and keeps nothing", async () => {
  const events = await received({ id: "e1" }, { id: "e2" });
  const seen: unknown[] = [];
  const handler = effectHandler({
    name: "a",
    async handle(event, { tx, replay }) {
      seen.push(replay);
      expect(JSON.parse(event.body.toString())).toMatchObject({ id: event.id });
      await tx.insertInto("effects").values({ handler: "a", event_id: event.id }).execute();
      await sql`UPDATE app.effects SET note = 'seen'`.execute(tx);
      await sql`INSERT INTO app.counters VALUES ('x', 1), ('y', 1)`.execute(tx);
      await sql`DELETE FROM app.counters WHERE subject = 'x'`.execute(tx);
      await sql`SELECT * FROM app.counters`.execute(tx);
    },
  });
  const reports = await dryRuns(handler, events);
  expect(seen).toEqual([{ id: "dry-run" }, { id: "dry-run" }]);
  for (const report of reports) {
    expect(report).toMatchObject({
      outcome: "succeeded",
      error: null,
      tables: [
        { table: "app.counters", inserted: 2, updated: 0, deleted: 1 },
        { table: "app.effects", inserted: 1, updated: 1, deleted: 0 },
      ],
    });
    expect(report.statements.map(({ sql: text, rows: count }) => [text.split(" ")[0]!.toUpperCase(), count])).toEqual([
      ["INSERT", 1],
      ["UPDATE", 1],
      ["INSERT", 2],
      ["DELETE", 1],
      ["SELECT", 1],
    ]);
  }
});

test("a handler that fails is told with its error and the statement that was refused", async () => {
  const events = await received({ id: "e1" });
  const handler = effectHandler({
    async handle(event, { tx }) {
      await tx.insertInto("effects").values({ handler: "a", event_id: event.id }).execute();
      await sql`SELECT * FROM app.nothing`.execute(tx);
    },
  });
  const [report] = await dryRuns(handler, events);
  expect(report).toMatchObject({
    outcome: "failed",
    error: { errorMessage: expect.stringContaining("app.nothing") as string },
    tables: [],
    statements: [{ rows: 1 }, { rows: null, error: expect.stringContaining("does not exist") as string }],
  });
});

test("a dry run waits for nobody's locks for long, and gives up on a handler that hangs", async () => {
  const events = await received({ id: "e1" });
  await store.pool.query("INSERT INTO app.counters VALUES ('x', 1)");
  const holder = await store.pool.connect();
  await holder.query("BEGIN; UPDATE app.counters SET n = 2");
  const waits = effectHandler({
    handle: async (_, { tx }) => void (await sql`UPDATE app.counters SET n = 3`.execute(tx)),
  });
  // The store cannot close while it is held.
  const [waited] = await dryRuns(waits, events).finally(() => holder.release(true));
  expect(waited).toMatchObject({
    outcome: "failed",
    error: { errorMessage: expect.stringContaining("lock") as string },
  });

  const hangs = effectHandler({ timeoutMs: 100, handle: () => new Promise<void>(() => undefined) });
  const [hung] = await dryRuns(hangs, events);
  expect(hung).toMatchObject({ outcome: "failed", error: { errorClass: "HandlerTimeoutError" } });
});

test("an event that is not understood, or that the handler does not want, is told as that", async () => {
  const events = await received({ id: "e1", body: Buffer.from("{}") }, { id: "e2", type: "message.sent" });
  const reports = await dryRuns(effectHandler({}), events);
  expect(reports.map(({ outcome }) => outcome).toSorted()).toEqual(["not-subscribed", "not-understood"]);
});
