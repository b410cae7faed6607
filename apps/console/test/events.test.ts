import type { Client } from "@penstock/client";
import { makeEvent } from "@penstock/schemas/fixtures";
import { buzzbip, defineSources } from "@penstock/sources";
import { commitBatch, createEngineStore, endDryRun, listAudit, takeDryRun, tellPolicy } from "@penstock/store";
import { moveToDay } from "@penstock/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConsoleUnderTest, startConsole } from "./console-under-test.ts";

type NewEvent = Parameters<typeof commitBatch>[1][number];

const newEvent = (eventId: string, event: Partial<NewEvent>): NewEvent => ({
  source: "buzzbip",
  eventId,
  key: null,
  type: "message.received",
  createdAt: null,
  subjects: [],
  problem: null,
  traceparent: null,
  bodyVaries: false,
  body: Buffer.from("{}"),
  replay: null,
  ...event,
});

const SECRET = "whsec_of_the_tests_of_events";

let console: ConsoleUnderTest;
let viewer: Client;
let reader: Client;
beforeAll(async () => {
  console = await startConsole(
    {},
    {
      list: defineSources({ buzzbip: buzzbip(), "buzzbip-eu": buzzbip({ sensitive: ["data.text"] }) }).list,
      secrets: { buzzbip: [SECRET] },
    },
  );
  viewer = await console.as("viewer");
  reader = await console.as("operator", true);
  const { store } = console;
  const events = ["a", "b", "c"].map((name, nth) =>
    newEvent(`evt_${name}`, {
      type: nth === 2 ? "contact.created" : "message.received",
      subjects: ["cnt_1"],
      arrival:
        nth > 0
          ? null
          : {
              names: ["user-agent", "x-try"],
              values: ["Acme/1", undefined],
              secret: "1f2e3d4c",
              signatureAgeMs: 1_500,
            },
      body: Buffer.from(
        JSON.stringify({ data: { contactId: `cnt_${name}`, tags: ["new"], text: "Where is my refund?" } }),
      ),
    }),
  );
  const batches = [await commitBatch(store, events)];
  await createEngineStore(store, "test").transaction((tx) =>
    tx.claimBatches({ batches, onlyThese: true, maxEvents: 100, maxBytes: 1e9 }),
  );
  // A copy comes, and a replay makes an event of another body.
  const again = [
    await commitBatch(store, [events[0]!]),
    await commitBatch(store, [
      { ...events[0]!, eventId: "evt_a#replay-mend", replay: { id: "mend", of: batches[0]! * 1_024 } },
    ]),
  ];
  await createEngineStore(store, "test").transaction((tx) =>
    tx.claimBatches({ batches: again, onlyThese: true, maxEvents: 100, maxBytes: 1e9 }),
  );
  await commitBatch(store, [{ ...events[0]!, eventId: "evt_waits" }]);
  await store.pool.query(`
    INSERT INTO penstock.handlers (name, kind, types, registered_at)
    VALUES ('inbox', 'transactional', '{message.received}', now());
    INSERT INTO penstock.replays (id, request, again, status) VALUES ('mend', '{}', false, 'done');
    INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
    SELECT day, seq, 'inbox', CASE event_id WHEN 'evt_a' THEN 'dead' ELSE 'succeeded' END, 1 FROM penstock.events
     WHERE event_id IN ('evt_a', 'evt_b');
    INSERT INTO penstock.deliveries (day, seq, subscriber, state, lane, lane_at)
    SELECT day, seq, 'in-order', 'pending', 'cnt_1', received_at FROM penstock.events WHERE event_id IN ('evt_a', 'evt_b');
    INSERT INTO penstock.attempts SELECT day, seq, 'inbox', 1, now() - interval '1 s', now(), 'failed', 'Error', 'boom', 'w1'
      FROM penstock.events WHERE event_id = 'evt_a'`);
});
afterAll(() => console.close());

const search = async (client: Client, q: string): Promise<(string | null)[]> =>
  (await client.call("GET /events", { query: { q } })).items.map(({ id }) => id);

test("events are found by a query, page by page", async () => {
  expect(await search(viewer, "")).toEqual(["evt_waits", "evt_a#replay-mend", "evt_c", "evt_b", "evt_a"]);
  expect(await search(viewer, "state:dead handler:inbox age<2h")).toEqual(["evt_a"]);
  expect(await search(viewer, "id:evt_b")).toEqual(["evt_b"]);
  expect(await search(reader, "data.contactId=cnt_b")).toEqual(["evt_b"]);
  const ids: (string | null)[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await viewer.call("GET /events", {
      query: { q: "type:message.*", limit: 1, ...(cursor && { cursor }) },
    });
    ids.push(...page.items.map(({ id }) => id));
    if (page.next === null) break;
    cursor = page.next;
  }
  expect(ids).toEqual(["evt_waits", "evt_a#replay-mend", "evt_b", "evt_a"]);
});

test("a query that is wrong is refused with the place and what would be right", async () => {
  await expect(search(viewer, "type:x state:broken")).rejects.toMatchObject({
    status: 400,
    errors: [{ path: "query.q[13:19]", message: expect.stringContaining("it is one of pending, running") as string }],
  });
  await expect(viewer.call("GET /events", { query: { cursor: "nonsense" } })).rejects.toMatchObject({ status: 400 });
});

test("events are counted over time", async () => {
  const { total, counts, more } = await viewer.call("GET /events/histogram", { query: { q: "type:message.received" } });
  expect([total, more, counts.reduce((sum, count) => sum + count, 0)]).toEqual([3, false, 3]);
});

test("completion is told what there is", async () => {
  expect(await viewer.call("GET /events/values")).toMatchObject({
    type: ["contact.created", "message.received"],
    source: expect.arrayContaining(["buzzbip"]) as string[],
    handler: ["inbox"],
    paths: ["data.contactId", "data.tags", "data.text"],
  });
});

test("one event is shown with its deliveries and what came of each try", async () => {
  const path = { source: "buzzbip", id: "evt_a" };
  const { items } = await viewer.call("GET /events/{source}/{id}", { path });
  expect(items).toMatchObject([
    {
      id: "evt_a",
      subjects: ["cnt_1"],
      deliveries: [
        { subscriber: "inbox", state: "dead", attemptLog: [{ outcome: "failed", errorMessage: "boom" }] },
        { subscriber: "in-order" },
      ],
    },
  ]);
  const waiting = await viewer.call("GET /events/{source}/{id}", { path: { source: "buzzbip", id: "evt_waits" } });
  expect(waiting.items).toMatchObject([{ status: "pending", deliveries: [] }]);
  const unknown = viewer.call("GET /events/{source}/{id}", { path: { source: "shop", id: "evt_a" } });
  await expect(unknown).rejects.toMatchObject({ status: 404 });
});

test("what has to do with an event is found: its copies, its lanes, its replays, and what was made of it", async () => {
  const related = (id: string) => viewer.call("GET /events/{source}/{id}/related", { path: { source: "buzzbip", id } });
  expect(await related("evt_a")).toMatchObject({
    copies: { count: 1, more: false, lastAt: expect.any(String) as string },
    lanes: [{ subscriber: "in-order", lane: "cnt_1", deliveries: [{ state: "pending", event: { id: "evt_b" } }] }],
    replays: [{ id: "mend", status: "done" }],
    made: [{ id: "evt_a#replay-mend" }],
  });
  expect(await related("evt_c")).toEqual({
    copies: { count: 0, more: false, lastAt: null },
    lanes: [],
    replays: [],
    made: [],
  });
});

test("a body is shown to those who may see payloads, which is on record; the others see its keys, and cannot search it", async () => {
  const path = { source: "buzzbip", id: "evt_a" };
  const reads = async (): Promise<number> => (await listAudit(console.store, { action: "events.read-body" })).length;
  const before = await reads();
  const masked = await viewer.call("GET /events/{source}/{id}/body", { path, query: {} });
  expect(masked.masked).toBe(true);
  expect(JSON.parse(masked.body)).toEqual({ data: { contactId: "•••", tags: ["•••"], text: "•••" } });
  expect(await reads()).toBe(before);
  const whole = await reader.call("GET /events/{source}/{id}/body", { path, query: {} });
  expect([whole.masked, whole.body]).toEqual([false, expect.stringContaining("Where is my refund?")]);
  expect(await reads()).toBe(before + 1);
  for (const q of ["data.contactId=cnt_a", "refund", "-refund"]) {
    await expect(search(viewer, q)).rejects.toMatchObject({ status: 403 });
    await expect(viewer.call("GET /events/histogram", { query: { q } })).rejects.toMatchObject({ status: 403 });
  }
});

test("what a source calls sensitive is masked until it is asked for, which is on record", async () => {
  const body = Buffer.from('{"id":12345678901234567890,"data":{"text":"Where is my refund?"}}');
  const event = newEvent("evt_eu", { source: "buzzbip-eu", body });
  await commitBatch(console.store, [event, { ...event, eventId: "evt_plain", body: Buffer.from('{"data":{}}') }]);
  await console.recordEvents();
  const read = (client: Client, id: string, query: { reveal?: "true" } = {}) =>
    client.call("GET /events/{source}/{id}/body", { path: { source: "buzzbip-eu", id }, query });
  expect(await read(reader, "evt_eu")).toMatchObject({
    masked: true,
    mayReveal: true,
    body: '{"id":12345678901234567890,"data":{"text":"•••"}}',
  });
  const whole = { masked: false, mayReveal: false, body: event.body.toString() };
  expect(await read(reader, "evt_eu", { reveal: "true" })).toMatchObject(whole);
  const [entry] = await listAudit(console.store, { action: "events.read-body" });
  expect(entry).toMatchObject({ target: "buzzbip-eu/evt_eu", detail: { revealed: true } });
  expect(await read(viewer, "evt_eu", { reveal: "true" })).toMatchObject({
    masked: true,
    mayReveal: false,
    body: '{"id":"•••","data":{"text":"•••"}}',
  });
  expect(await read(reader, "evt_plain")).toMatchObject({ masked: false, mayReveal: false, body: '{"data":{}}' });
});

test("an event is replayed with a count before, by an operator, which is on record", async () => {
  const path = { source: "buzzbip", id: "evt_a" };
  const route = "/events/{source}/{id}/replay" as const;
  expect(await viewer.call(`GET ${route}`, { path, query: {} })).toEqual({
    total: 1,
    handlers: [{ name: "inbox", count: 1 }],
  });
  await expect(viewer.call(`POST ${route}`, { path, body: {} })).rejects.toMatchObject({ status: 403 });
  const { replay, total } = await reader.call(`POST ${route}`, { path, body: { reason: "mended" } });
  expect(total).toBe(1);
  const [entry] = await listAudit(console.store, { action: "replay.create" });
  expect(entry).toMatchObject({ target: replay, actor: expect.stringContaining("operator") as string });
  const nothing = reader.call(`POST ${route}`, { path: { source: "buzzbip", id: "evt_c" }, body: {} });
  await expect(nothing).rejects.toMatchObject({ status: 409 });
});

test("another body is checked, then handled as a new event that says what it was made of, which is on record", async () => {
  const path = { source: "buzzbip", id: "evt_b" };
  const route = "/events/{source}/{id}/replay-edited" as const;
  const body = JSON.stringify(makeEvent("message.received"));
  const masked = (await console.as("operator")).call(`POST ${route}`, { path, body: { body } });
  await expect(masked).rejects.toMatchObject({ status: 403, message: "This shows payloads" });
  expect(await reader.call(`POST ${route}/check`, { path, body: { body: "{}" } })).toMatchObject({
    ok: false,
    reason: "invalid-shape",
    subscribers: [],
  });
  await expect(reader.call(`POST ${route}`, { path, body: { body: "{}" } })).rejects.toMatchObject({ status: 422 });
  expect(await reader.call(`POST ${route}/check`, { path, body: { body } })).toEqual({
    ok: true,
    type: "message.received",
    subscribers: ["inbox"],
  });
  const { replay, id } = await reader.call(`POST ${route}`, { path, body: { body, reason: "mended" } });
  expect(id).toBe(`evt_b#replay-${replay}`);
  await console.recordEvents();
  const made = await reader.call("GET /events/{source}/{id}", { path: { source: "buzzbip", id } });
  const { items } = await reader.call("GET /events/{source}/{id}", { path });
  expect(made.items).toMatchObject([{ type: "message.received", madeBy: { replay, of: items[0]?.seq } }]);
  const shown = await reader.call("GET /events/{source}/{id}/body", { path: { source: "buzzbip", id }, query: {} });
  expect(shown.body).toBe(body);
  const [entry] = await listAudit(console.store, { action: "replay.create" });
  expect(entry).toMatchObject({
    target: replay,
    detail: { event: `seq:${items[0]?.seq}`, bodySha256: expect.any(String) as string, reason: "mended" },
  });
});

test("what is due is deleted by an admin who has seen it, and is told to be gone", async () => {
  const { store } = console;
  const [admin, day] = [await console.as("admin"), "2020-01-02"];
  await expect(viewer.call("GET /retention", { query: {} })).rejects.toMatchObject({ status: 409 });
  const policy = { days: 30, bytes: null, dedupeWindowDays: 36_500, sources: {} };
  const archive = { url: "s3://archive/days", region: null, endpoint: null, pathStyle: null };
  await tellPolicy(store, { ...policy, archive }, "worker-1");
  const batches = [await commitBatch(store, [newEvent("evt_old", {})])];
  await createEngineStore(store, "test").transaction((tx) =>
    tx.claimBatches({ batches, onlyThese: true, maxEvents: 100, maxBytes: 1e9 }),
  );
  await moveToDay(store.pool, day, ["evt_old"]);

  expect(await viewer.call("GET /retention", { query: {} })).toMatchObject({
    toldBy: "worker-1",
    isNew: true,
    days: [{ day, action: "keep", holds: [{ reason: "unarchived" }] }],
  });
  expect((await viewer.call("GET /retention", { query: { days: 36_500 } })).days).toMatchObject([{ action: "keep" }]);
  expect(await viewer.call("GET /retention/archive", {})).toMatchObject({
    archive: { url: archive.url, verified: 0, newest: null, waiting: [day], damaged: [] },
  });
  await tellPolicy(store, policy, "worker-1");
  expect(await viewer.call("GET /retention/archive", {})).toEqual({ archive: null });
  await expect(admin.call("POST /retention/run", { body: { days: [] } })).rejects.toMatchObject({ status: 409 });
  expect(await admin.call("POST /retention/run", { body: { days: [day] } })).toMatchObject({
    days: [{ day, outcome: "dropped", went: 1 }],
    failed: [],
  });
  const path = { source: "buzzbip", id: "evt_old" };
  await expect(viewer.call("GET /events/{source}/{id}", { path })).rejects.toMatchObject({ status: 410 });
  expect(await viewer.call("GET /retention/gone", { query: { event: "evt_old" } })).toMatchObject({
    gone: { day, why: "age" },
  });
  expect(await viewer.call("GET /retention/gone", { query: { event: "evt_a" } })).toEqual({ gone: null });
  expect(await listAudit(store, { action: "retention" })).toMatchObject([{ action: "retention.run" }]);
});

test("how an event came is shown: the headers to those who may see payloads, the secret by its fingerprint", async () => {
  const path = { source: "buzzbip", id: "evt_a" };
  const { arrival } = await reader.call("GET /events/{source}/{id}/arrival", { path });
  expect(arrival).toEqual({
    headers: [{ name: "user-agent", value: "Acme/1" }],
    masked: false,
    secret: { fingerprint: "1f2e3d4c", from: "gone", addedAt: null },
    signatureAgeMs: 1_500,
  });
  const masked = await viewer.call("GET /events/{source}/{id}/arrival", { path });
  expect(masked.arrival).toMatchObject({ masked: true, headers: [{ name: "user-agent", value: "…" }] });
  const other = await viewer.call("GET /events/{source}/{id}/arrival", { path: { source: "buzzbip", id: "evt_b" } });
  expect(other.arrival).toBeNull();
});

test("an event is signed as its provider would now, for those who may see payloads, which is on record", async () => {
  const path = { source: "buzzbip", id: "evt_b" };
  const route = "POST /events/{source}/{id}/signed" as const;
  await expect((await console.as("operator")).call(route, { path })).rejects.toMatchObject({ status: 403 });
  const { headers, unsigned } = await reader.call(route, { path });
  const { body } = await reader.call("GET /events/{source}/{id}/body", { path, query: {} });
  expect(unsigned).toBeNull();
  const request = { header: (name: string) => headers[name], body: Buffer.from(body), url: "/" };
  expect(buzzbip().verify(request, [SECRET], Date.now())).toMatchObject({ ok: true });
  const [entry] = await listAudit(console.store, { action: "events.sign" });
  expect(entry).toMatchObject({ target: "buzzbip/evt_b", detail: { unsigned: null } });
  expect(JSON.stringify(entry)).not.toContain(Object.values(headers)[1]);
});

test("a dry run waits for a worker that has the handler, and gives the command where there is none", async () => {
  const path = { source: "buzzbip", id: "evt_a" };
  const route = "POST /events/{source}/{id}/dry-runs" as const;
  await expect(viewer.call(route, { path, body: { handler: "inbox" } })).rejects.toMatchObject({ status: 403 });
  await expect(reader.call(route, { path, body: { handler: "none" } })).rejects.toMatchObject({ status: 404 });
  await console.store.pool.query(
    "INSERT INTO penstock.handlers (name, kind, types) VALUES ('mailer', 'effect', '{message.received}')",
  );
  await expect(reader.call(route, { path, body: { handler: "mailer" } })).rejects.toMatchObject({
    status: 409,
    message: "mailer is an effect handler, so it is not run",
  });
  const { id } = await reader.call(route, { path, body: { handler: "inbox" } });
  const show = () => reader.call("GET /dry-runs/{id}", { path: { id } });
  expect(await show()).toMatchObject({
    state: "waiting",
    handler: "inbox",
    report: null,
    command: expect.stringMatching(/^penstock replay dry-run seq:\d+ --handler inbox$/) as string,
  });
  await console.store.pool.query("UPDATE penstock.dry_runs SET requested_at = now() - interval '61 s'");
  expect((await show()).state).toBe("nobody");
  expect(await takeDryRun(console.store, ["inbox"], "w1")).toBeNull();

  const again = await reader.call(route, { path, body: { handler: "inbox" } });
  const taken = await takeDryRun(console.store, ["inbox"], "w1");
  expect(taken).toMatchObject({ id: again.id, handler: "inbox" });
  const statements = [{ sql: "SELECT 1", rows: null, error: "half \ud800 a character, and a \0" }];
  const report = { outcome: "failed", error: null, tookMs: 3, tables: [], statements } as const;
  await endDryRun(console.store, again.id, report);
  const done = await reader.call("GET /dry-runs/{id}", { path: { id: again.id } });
  expect(done).toMatchObject({ state: "done", worker: "w1", report: { outcome: "failed" } });
  expect(await listAudit(console.store, { action: "dry-run.create" })).toHaveLength(2);
});
