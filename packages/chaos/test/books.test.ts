import { createHash } from "node:crypto";
import { createStore, migrate } from "@penstock/store";
import { withClient } from "@penstock/test-postgres";
import { type ServerUnderTest, startPostgres } from "@penstock/testing";
import pg from "pg";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { balance, PROMISES, putRecord, type Record } from "../src/books.ts";
import type { HeardEvent } from "../src/outside.ts";
import { HANDLERS } from "../src/penstock/handlers.ts";
import type { SentEvent } from "../src/sender.ts";

const BODY = "the body";
const DAY = "(now() AT TIME ZONE 'UTC')::date";
const SUBSCRIBERS = ["rows", "counted", "lane", "outside"];

// A server of its own: when a transaction committed is not kept by the one that all tests share.
let server: ServerUnderTest;
let databases = 0;
beforeAll(async () => {
  server = await startPostgres({ settings: { track_commit_timestamp: "on" } });
  await withClient(server.url, (client) => client.query("CREATE DATABASE planted"));
  const store = createStore({ connectionString: urlOf("planted"), applicationName: "chaos-test", maxConnections: 2 });
  await migrate(store, HANDLERS);
  await store.close();
});

const urlOf = (database: string): string => Object.assign(new URL(server.url), { pathname: `/${database}` }).href;

let db: pg.Client;
beforeEach(async () => {
  const name = `planted_${++databases}`;
  await withClient(server.url, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE planted`));
  db = new pg.Client({ connectionString: urlOf(name) });
  db.on("error", () => undefined);
  await db.connect();
  for (const number of [1, 2, 3]) await plant(number);
  return () => db.end();
});

/** An event as all of Penstock leaves it when nothing goes wrong; each was recorded by a transaction of its own. */
async function plant(number: number): Promise<void> {
  const id = `evt_${number}`;
  const at = `timestamptz '2026-06-01T12:00:00Z' + interval '${number} seconds'`;
  await db.query(`
    INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies) VALUES (${DAY}, ${number}, now(), 1, '[]', '${BODY}');
    INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
    VALUES (${number * 1_024}, ${DAY}, now(), 'shop-eu', '${id}', 'message.received', '{}', 0, ${BODY.length});
    ${["rows", "counted", "lane"].map((name) => `INSERT INTO ${name}.effects (event_id, lane, created_at) VALUES ('${id}', 'one', ${at});`).join("\n")}
    INSERT INTO counted.counters (lane, events) VALUES ('one', 1) ON CONFLICT (lane) DO UPDATE SET events = counters.events + 1;
    ${SUBSCRIBERS.map((name) => `INSERT INTO penstock.deliveries (day, seq, subscriber, state) VALUES (${DAY}, ${number * 1_024}, '${name}', 'succeeded');`).join("\n")}`);
}

const sent = (number: number, more: Partial<SentEvent> = {}): SentEvent => ({
  id: `evt_${number}`,
  bodyHash: createHash("sha256").update(BODY).digest("hex"),
  forged: false,
  order: "",
  acknowledged: true,
  refused: false,
  ...more,
});
const heard = (number: number, more: Partial<HeardEvent> = {}): [string, HeardEvent] => [
  `evt_${number}`,
  { calls: 1, keys: new Set(["key"]), recordedBy: 1, callsAfter: 0, ...more },
];
const RECORD: Record = {
  sent: [sent(1), sent(2), sent(3)],
  heard: new Map([heard(1), heard(2), heard(3)]),
  stalls: [],
};

/** What is broken, by the promise: only promises that something breaks. */
async function broken(record: Partial<Record> = {}): Promise<{ [name: string]: readonly string[] }> {
  await putRecord(db, { ...RECORD, ...record });
  const breaches = Object.entries(await balance(db)).filter(([, { count }]) => count > 0);
  return Object.fromEntries(breaches.map(([name, { examples }]) => [name, examples]));
}

const attempt = (outcome: string): string => `
  INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, worker)
  VALUES (${DAY}, 1024, 'rows', 1, now() - interval '3 seconds', now(), '${outcome}', 'w')`;

test("books of a run in which nothing went wrong balance", async () => {
  expect(await broken()).toEqual({});
});

test.each<[string, string, { [name: string]: readonly string[] }]>([
  ["is missing", "DELETE FROM penstock.events WHERE event_id = 'evt_2'", { lost: ["evt_2 is not stored"] }],
  [
    "has other bytes",
    "UPDATE penstock.batches SET bodies = 'THE BODY' WHERE batch = 2",
    { lost: ["evt_2 is stored with other bytes"] },
  ],
  ["lacks its bytes", "DELETE FROM penstock.batches WHERE batch = 2", { lost: ["evt_2 is stored with other bytes"] }],
  ["lacks an effect", "DELETE FROM rows.effects WHERE event_id = 'evt_2'", { lost: ["evt_2 has no effect of rows"] }],
  [
    "has an effect twice",
    "INSERT INTO rows.effects (event_id, lane, created_at) SELECT event_id, lane, created_at FROM rows.effects WHERE event_id = 'evt_2'",
    { doubled: ["evt_2 has 2 effects of rows"] },
  ],
  [
    "was counted twice",
    "UPDATE counted.counters SET events = 4",
    { doubled: ["one was counted 4 times for 3 events"] },
  ],
  [
    "has an effect of a replay",
    "INSERT INTO rows.effects (event_id, lane, created_at, replay) SELECT event_id, lane, created_at, 'rpl' FROM rows.effects",
    {},
  ],
  [
    "came after a newer one although its transaction had recorded both",
    `UPDATE penstock.events SET xid = pg_current_xact_id();
     UPDATE lane.effects SET created_at = '2026-05-01' WHERE event_id = 'evt_2'`,
    { outOfOrder: ["evt_2 came after a newer one in its lane"] },
  ],
  [
    "came after a newer one and was recorded after it",
    "UPDATE lane.effects SET created_at = '2026-05-01' WHERE event_id = 'evt_2'",
    {},
  ],
  [
    "was left pending",
    "INSERT INTO penstock.pending VALUES (9, now(), 1, 1, now())",
    { stuck: ["batch 9 is pending"] },
  ],
  [
    "has a delivery that is dead",
    "UPDATE penstock.deliveries SET state = 'dead' WHERE seq = 2048 AND subscriber = 'lane'",
    { stuck: ["evt_2 lane is dead"] },
  ],
  [
    "is in quarantine",
    `INSERT INTO penstock.quarantine (seq, day, reason) VALUES (2048, ${DAY}, 'too-old')`,
    { stuck: ["evt_2 is in quarantine: too-old"] },
  ],
  ["has a failure that nobody ordered", attempt("failed"), { usedAttempts: ["evt_1 rows failed at attempt 1"] }],
  ["ran out of time without a reason", attempt("timed-out"), { usedAttempts: ["evt_1 rows timed-out at attempt 1"] }],
  ["lost its worker", attempt("interrupted"), {}],
])("an event that %s is found", async (_, sql, expected) => {
  await db.query(sql);
  expect(await broken()).toEqual(expected);
});

test("failures that were ordered, and time that went by while all stood still, are nobody's", async () => {
  await db.query(attempt("failed"));
  await db.query(attempt("timed-out"));
  const around = { from: new Date(Date.now() - 60_000), to: new Date(Date.now() + 60_000) };
  expect(await broken({ sent: [sent(1, { order: "throw rows" }), sent(2), sent(3)], stalls: [around] })).toEqual({});
});

test("what was not sent, or not signed, is not stored", async () => {
  expect(await broken({ sent: [sent(1), sent(2, { forged: true, acknowledged: false })] })).toEqual({
    unsigned: ["evt_2 was signed with a wrong secret", "evt_3 was never sent"],
  });
});

test("what nobody acknowledged may be missing, and what got 503 may not", async () => {
  const missing = sent(4, { acknowledged: false });
  expect(await broken({ sent: [...RECORD.sent, missing] })).toEqual({});
  expect(await broken({ sent: [...RECORD.sent, { ...missing, refused: true }] })).toEqual({
    lost: ["evt_4 is not stored"],
  });
});

test("the world outside hears of each event, with one key, and not again once that is on record", async () => {
  const told = [heard(1, { keys: new Set(["a", "b"]), calls: 2 }), heard(2, { calls: 2, callsAfter: 1 })];
  expect(await broken({ heard: new Map(told) })).toEqual({
    lost: ["evt_3 has not reached the world outside"],
    doubled: ["evt_1 was told with 2 idempotency keys", "evt_2 was told again 1 times after that was on record"],
  });
});

test("each promise is looked after by a query that these tests have seen find something", () => {
  expect(Object.keys(PROMISES)).toEqual(["lost", "doubled", "outOfOrder", "unsigned", "usedAttempts", "stuck"]);
});
