import { randomUUID } from "node:crypto";
import type { NewEvent } from "@penstock/intake";
import {
  advanceErasure,
  commitBatch,
  createEngineStore,
  createErasure,
  endHandlersStep,
  type ErasedValue,
  listEvents,
  planErasure,
  putErasureBack,
  showErasure,
  type Store,
  takeErasure,
} from "@penstock/store";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TEXT_PLACES } from "../src/erase/text-places.ts";
import { newEvent, openMigrated, process } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
});
afterEach(() => store.close());

const PERSON = "cnt_ada";
const PHONE = "+393331234567";
const signal = new AbortController().signal;

const about = (id: string, data: object, event: Partial<NewEvent> = {}): NewEvent =>
  newEvent(id, { subjects: [PERSON, "cnv_1"], body: Buffer.from(JSON.stringify({ id, data })), ...event });

const rows = async (text: string): Promise<Record<string, unknown>[]> =>
  (await store.pool.query<Record<string, unknown>>(text)).rows;

/** Does what workers do until an erasure is done, or waits; returns what it waits for. */
async function erase(...wanted: ErasedValue[]): Promise<number> {
  const id = await createErasure(store, wanted, "test");
  await goOn();
  return id;
}

async function goOn(): Promise<string | null> {
  for (;;) {
    await store.pool.query("UPDATE penstock.erasures SET due_at = now()");
    const job = await takeErasure(store);
    if (job === null) return null;
    let waitsFor: string | null = null;
    if (job.step === "handlers") await endHandlersStep(store, job);
    else waitsFor = await advanceErasure(store, job, signal);
    await putErasureBack(store, job.id, { waitsFor, restMs: 0 });
    // Transactions of the whole server count, and other tests have some.
    if (waitsFor !== null && !waitsFor.startsWith("a transaction")) return waitsFor;
  }
}

/** Everything of the database as text, bodies included, in which a value stands: `table: row`. */
async function findEverywhere(value: string): Promise<string[]> {
  const columns = await rows(
    `SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE n.nspname = 'penstock' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        AND format_type(a.atttypid, NULL) IN ('text', 'text[]', 'json', 'jsonb', 'bytea')`,
  );
  const found: string[] = [];
  for (const { table, column, type } of columns as { table: string; column: string; type: string }[]) {
    const text = type === "bytea" ? `encode(${column}, 'escape')` : `${column}::text`;
    const { rowCount } = await store.pool.query(`SELECT FROM penstock.${table} WHERE strpos(${text}, $1) > 0`, [value]);
    if (rowCount) found.push(`${table}.${column}`);
  }
  return found.toSorted();
}

const subject: ErasedValue = { kind: "subject", value: PERSON };
const phone: ErasedValue = { kind: "value", value: PHONE };

test("a plan counts what would be overwritten, and changes nothing", async () => {
  await process(store, [
    about("evt_1", { phone: PHONE }),
    about("evt_2", {}),
    newEvent("evt_3", { subjects: ["cnt_b"] }),
  ]);
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at)
     SELECT day, seq, 'inbox', 'retrying', now() FROM penstock.events WHERE event_id = 'evt_1'`,
  );
  expect(await planErasure(store, [subject])).toMatchObject({
    kinds: ["subject"],
    events: 2,
    more: false,
    batches: 1,
    deliveries: 1,
    skipped: 1,
    filters: 1,
    types: [{ source: "buzzbip", type: "x", events: 2 }],
  });
  expect((await planErasure(store, [{ kind: "where", path: ["data", "phone"], value: PHONE }])).events).toBe(1);
  expect(await findEverywhere(PHONE)).not.toEqual([]);
  expect(await rows("SELECT FROM penstock.erasures")).toEqual([]);
});

test("nothing of a value is left in any table, wherever it stood, and others stay as they are", async () => {
  const form = Buffer.from(`From=${encodeURIComponent(PHONE)}&Body=hi`);
  const arrival = { names: ["x-from"], values: [PHONE], secret: "abc", signatureAgeMs: 5 };
  const events = [
    about("evt_1", { phone: PHONE, text: `call ${PHONE} now` }, { arrival }),
    newEvent("evt_other", { subjects: ["cnt_b"], body: Buffer.from('{"data":{"phone":"+3900000000"}}') }),
    newEvent("evt_form", { subjects: [], body: form }),
    newEvent(`evt-${PHONE}`, { subjects: [PERSON], body: Buffer.from(`not json, of ${PHONE}`), problem: "not-json" }),
    newEvent("evt_escaped", { subjects: [], body: Buffer.from(`{"a":"\\u002b393331234567"}`) }),
  ];
  await process(store, events);
  // A copy in a batch with something new keeps its bytes there.
  await process(store, [events[0]!, newEvent("evt_new", { subjects: ["cnt_b"] })]);
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at, lane, lane_at)
     SELECT day, seq, 'inbox', 'retrying', now(), '["buzzbip","${PERSON}"]', now() FROM penstock.events WHERE event_id = 'evt_1'`,
  );
  await store.pool.query(`INSERT INTO penstock.lanes (subscriber, lane) VALUES ('inbox', '["buzzbip","${PERSON}"]')`);
  await store.pool.query(
    `INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker)
     SELECT day, seq, 'inbox', 1, now(), now(), 'failed', 'Error', 'no room for ${PHONE}', 'w' FROM penstock.events
      WHERE event_id IN ('evt_1', 'evt_other')`,
  );
  await store.pool.query(
    `INSERT INTO penstock.effects (day, seq, subscriber, generation, key, result)
     SELECT day, seq, 'mail', 0, 'mail-${PHONE}', '{"to":"${PHONE}"}' FROM penstock.events WHERE event_id = 'evt_1'`,
  );
  await store.pool.query(
    `INSERT INTO penstock.quarantine (day, seq, reason, detail)
     SELECT day, seq, 'not-json', 'at ${PHONE}' FROM penstock.events WHERE event_id LIKE 'evt-%'`,
  );
  await store.pool.query(
    `INSERT INTO penstock.refused_requests (source, at, reason, status, address, method, path, headers, findings, body, left_out)
     VALUES ('buzzbip', now(), 'mismatch', 401, '1.2.3.4', 'POST', '/x', '{"x-from":"${PHONE}"}', '{"said ${PHONE}"}',
             convert_to('{"a":"${PHONE}"}', 'UTF8'), 0)`,
  );
  await store.pool.query(
    `INSERT INTO penstock.replays (id, request, reason, subject, again, status)
     VALUES ('rpl_1', '{"subject":"${PERSON}"}', 'for ${PHONE}', '${PERSON}', false, 'done')`,
  );
  await store.pool.query(
    `INSERT INTO penstock.audit_log (actor, action, target, detail) VALUES ('a', 'replay.create', 'rpl_1', '{"subject":"${PERSON}"}')`,
  );
  await store.pool.query(
    `INSERT INTO penstock.issues (fingerprint, kind, subject, title, first_seen, last_seen, count)
     VALUES ('f', 'dead-letter', 'inbox', 'no room for ${PHONE}', now(), now(), 1)`,
  );
  const id = await erase(subject, phone);
  expect(await showErasure(store, id)).toMatchObject({ step: "done", kinds: ["subject", "value"] });
  for (const value of [PERSON, PHONE, PHONE.slice(1)]) expect(await findEverywhere(value)).toEqual([]);
  const bodies = await rows(
    `SELECT e.event_id, e.problem, convert_from(penstock.body_of(day, seq, body_at, body_bytes), 'UTF8') AS body
       FROM penstock.events e ORDER BY seq`,
  );
  expect(bodies.map(({ event_id: name, problem, body }) => [name, problem, String(body).trim()])).toEqual([
    ["evt_1", "erased", ""],
    ["evt_other", null, '{"data":{"phone":"+3900000000"}}'],
    ["evt_form", "erased", ""],
    [null, "erased", ""],
    ["evt_escaped", "erased", ""],
    ["evt_new", null, "evt_new"],
  ]);
  expect(await rows("SELECT subscriber, state, skip_reason FROM penstock.deliveries")).toEqual([
    { subscriber: "inbox", state: "skipped", skip_reason: "its event was erased" },
  ]);
  expect(
    await rows("SELECT action, detail FROM penstock.audit_log WHERE action LIKE 'erase%' ORDER BY id"),
  ).toMatchObject([
    { action: "erase.create", detail: { by: ["subject", "value"] } },
    { action: "erase.done", detail: { events: 4, copies: 1 } },
  ]);
  // The ledger stays: what comes again is a copy.
  expect(await process(store, events)).toBe(0);
  for (const value of [PERSON, PHONE]) expect(await findEverywhere(value)).toEqual([]);
  expect((await listEvents(store, { subject: "cnt_b" })).map((event) => event.id)).toEqual(["evt_new", "evt_other"]);
});

describe("beside what goes on", () => {
  test("an event that arrived before is waited for, and one that arrives later stays", async () => {
    const waiting = await commitBatch(store, [about("evt_waiting", {})]);
    const id = await createErasure(store, [subject], "test");
    expect(await goOn()).toBe("1 batches that no worker has processed yet");
    expect(await showErasure(store, id)).toMatchObject({ step: "events", waitsFor: expect.stringMatching(/batches/) });
    await process(store, [about("evt_later", {})]);
    const claim = { batches: [waiting], onlyThese: true, maxEvents: 200, maxBytes: 1e9 };
    await createEngineStore(store, "test").transaction((tx) => tx.claimBatches(claim));
    expect(await goOn()).toBeNull();
    expect(await rows("SELECT event_id, problem FROM penstock.events ORDER BY event_id")).toEqual([
      { event_id: "evt_later", problem: null },
      { event_id: "evt_waiting", problem: "erased" },
    ]);
    // The values are gone from the record of the erasure, too.
    expect(await rows("SELECT wanted FROM penstock.erasures")).toEqual([{ wanted: null }]);
  });

  test("what a handler has in hand is erased once it is done with it", async () => {
    await process(store, [about("evt_1", {}), about("evt_2", {})]);
    await store.pool.query(
      `INSERT INTO penstock.deliveries (day, seq, subscriber, state, token, lease_until)
       SELECT day, seq, 'inbox', 'running', gen_random_uuid(), now() + interval '1 hour' FROM penstock.events
        WHERE event_id = 'evt_1'`,
    );
    await createErasure(store, [subject], "test");
    expect(await goOn()).toBe("deliveries that run at this moment");
    expect(await rows("SELECT event_id FROM penstock.events WHERE problem = 'erased'")).toEqual([
      { event_id: "evt_2" },
    ]);
    await store.pool.query("UPDATE penstock.deliveries SET state = 'succeeded', lease_until = NULL, token = NULL");
    expect(await goOn()).toBeNull();
    expect(await findEverywhere(PERSON)).toEqual([]);
  });

  test("a copy that comes later in a batch with others brings nothing back", async () => {
    const event = about("evt_1", { phone: PHONE });
    await process(store, [event]);
    await erase(subject);
    expect(await process(store, [event, newEvent("evt_new", { subjects: ["cnt_b"] })])).toBe(1);
    for (const value of [PERSON, PHONE]) expect(await findEverywhere(value)).toEqual([]);
  });

  test("another event that came with the same id stays, and can be erased with its copies by itself", async () => {
    const ada = about("evt_1", { phone: PHONE });
    const bo = newEvent("evt_1", { subjects: ["cnt_bo"], body: Buffer.from('{"of":"cnt_bo"}') });
    const others = () => newEvent(`evt_${randomUUID()}`, { subjects: [] });
    await process(store, [ada]);
    await process(store, [ada, bo]);
    await process(store, [bo, ada, others()]);
    const bodies = async (): Promise<string> =>
      (await rows("SELECT encode(bodies, 'escape') AS text FROM penstock.batches")).map(({ text }) => text).join();
    await erase(subject);
    expect(await findEverywhere(PERSON)).toEqual([]);
    expect(await bodies()).toContain("cnt_bo");
    await process(store, [ada, bo, others()]);
    expect(await bodies()).not.toContain(PHONE);

    const id = await erase({ kind: "subject", value: "cnt_bo" });
    expect((await showErasure(store, id))?.step).toBe("done");
    expect(await findEverywhere("cnt_bo")).toEqual([]);
    await process(store, [ada, bo, others()]);
    for (const value of [PERSON, PHONE, "cnt_bo"]) expect(await findEverywhere(value)).toEqual([]);
  });

  test("texts in JSON behind a line break go, and those behind many that only look alike", async () => {
    await process(store, [newEvent("evt_1", { subjects: [] })]);
    const mail = "ada@example.com";
    await store.pool.query(
      `INSERT INTO penstock.audit_log (actor, action, target, detail)
       SELECT 'test', 'test', 'x', json_build_object('text', E'n' || $1 || repeat('.', n % 2)) FROM generate_series(1, 1000) AS n`,
      [mail],
    );
    // More than is looked through at once.
    await store.pool.query(`
      INSERT INTO penstock.audit_log (actor, action, target, detail)
      SELECT 'test', 'test', 'x', to_json((SELECT string_agg(md5(n || ' ' || m), '') FROM generate_series(1, 45) AS m))
        FROM generate_series(1, 2000) AS n`);
    const detail = JSON.stringify({ text: `Dear\n${mail}`, more: `\u0001${mail}`, last: `x\n-${mail}` });
    await store.pool.query(
      `INSERT INTO penstock.audit_log (actor, action, target, detail) VALUES ('test', 'test', 'ada', $1)`,
      [detail],
    );
    await store.pool.query(
      `INSERT INTO penstock.effects (day, seq, subscriber, generation, key, result)
       SELECT day, seq, 'handler', 0, 'k', $1 FROM penstock.events`,
      [detail],
    );
    const id = await erase({ kind: "value", value: mail });
    expect(await showErasure(store, id)).toMatchObject({ step: "done", counts: { audit_log: 1, effects: 1 } });
    const clean = { text: "Dear\n[erased]", more: "\u0001[erased]", last: "x\n-[erased]" };
    expect(await rows("SELECT detail FROM penstock.audit_log WHERE target = 'ada'")).toEqual([{ detail: clean }]);
    expect(await rows("SELECT result FROM penstock.effects")).toEqual([{ result: clean }]);
  });

  test("what replays made of an event goes with it, and is not found again", async () => {
    await process(store, [about("evt_1", {})]);
    const [{ seq }] = (await rows("SELECT seq FROM penstock.events")) as [{ seq: string }];
    await process(store, [newEvent("evt_made", { subjects: [], replay: { id: "rpl_1", of: Number(seq) } })]);
    await erase(subject);
    expect(await rows("SELECT DISTINCT problem FROM penstock.events")).toEqual([{ problem: "erased" }]);
    expect((await planErasure(store, [subject])).events).toBe(0);
  });
});

test("each column that may hold a text has been thought of", async () => {
  const known = new Set(
    TEXT_PLACES.flatMap(({ table, columns }) => Object.keys(columns).map((name) => `${table}.${name}`)),
  );
  const columns = await rows(
    `SELECT table_name || '.' || column_name AS name FROM information_schema.columns c
      WHERE table_schema = 'penstock' AND data_type IN ('text', 'ARRAY', 'json', 'jsonb', 'bytea')
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = ('penstock.' || table_name)::regclass) ORDER BY 1`,
  );
  expect(columns.map(({ name }) => String(name)).filter((name) => !known.has(name))).toMatchInlineSnapshot(`
    [
      "acknowledgement_minutes.counts",
      "acknowledgement_minutes.up_to_ms",
      "api_tokens.created_by",
      "api_tokens.hint",
      "api_tokens.id",
      "api_tokens.name",
      "api_tokens.role",
      "api_tokens.token_hash",
      "archives.parts",
      "archives.problem",
      "archives.url",
      "attempts.outcome",
      "attempts.place",
      "attempts.replay_id",
      "attempts.subscriber",
      "attempts.traceparent",
      "attempts.worker",
      "audit_log.action",
      "audit_log.actor",
      "batches.bodies",
      "batches.meta",
      "credentials.access_token",
      "credentials.account_id",
      "credentials.id",
      "credentials.id_token",
      "credentials.password",
      "credentials.person_id",
      "credentials.provider",
      "credentials.refresh_token",
      "credentials.scope",
      "deliveries.lane",
      "deliveries.replay_id",
      "deliveries.replayed_from",
      "deliveries.skip_reason",
      "deliveries.state",
      "deliveries.subscriber",
      "dry_runs.handler",
      "dry_runs.worker",
      "effects.key",
      "effects.subscriber",
      "endpoints.description",
      "endpoints.filter",
      "endpoints.header_name",
      "endpoints.id",
      "endpoints.lane",
      "endpoints.previous_secret",
      "endpoints.schedule_ms",
      "endpoints.secret",
      "endpoints.tenant",
      "endpoints.url",
      "erasures.counts",
      "erasures.handlers",
      "erasures.kinds",
      "erasures.requested_by",
      "erasures.step",
      "erasures.waits_for",
      "erasures.wanted",
      "event_words.words",
      "events.event_id",
      "events.problem",
      "events.replay_id",
      "events.source",
      "events.subjects",
      "events.traceparent",
      "events.type",
      "handler_roles.role",
      "handler_roles.schema",
      "handlers.kind",
      "handlers.lane_order",
      "handlers.name",
      "handlers.on_dead",
      "handlers.types",
      "handlers.types_seen",
      "idempotency_keys.caller",
      "idempotency_keys.key",
      "idempotency_keys.request_hash",
      "issue_channels.channel",
      "issue_notices.reason",
      "issues.changed_by",
      "issues.fingerprint",
      "issues.kind",
      "issues.place",
      "issues.state",
      "issues.subject",
      "lanes.lane",
      "lanes.subscriber",
      "people.email",
      "people.id",
      "people.image",
      "people.language",
      "people.name",
      "people.role",
      "people.theme",
      "quarantine.reason",
      "refused_requests.body",
      "refused_requests.body_sha256",
      "refused_requests.method",
      "refused_requests.reason",
      "refused_requests.source",
      "replays.among",
      "replays.cursor_subscriber",
      "replays.handler",
      "replays.id",
      "replays.source",
      "replays.state",
      "replays.status",
      "replays.type",
      "retention_counts.source",
      "retention_counts.type",
      "retention_log.by",
      "retention_log.why",
      "retention_policy.policy",
      "retention_policy.told_by",
      "sessions.id",
      "sessions.ip_address",
      "sessions.person_id",
      "sessions.token",
      "sessions.user_agent",
      "sign_in_limits.id",
      "sign_in_limits.key",
      "sign_in_links.person_id",
      "sign_in_links.token_hash",
      "source_activity.source",
      "source_hours.source",
      "source_secrets.fingerprint",
      "source_secrets.sealed",
      "source_secrets.source",
      "verifications.id",
      "verifications.identifier",
      "verifications.value",
    ]
  `);
});
