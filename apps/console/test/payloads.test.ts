import { adminRoutes, type Routes } from "@penstock/schemas/admin";
import { buzzbip, defineSources } from "@penstock/sources";
import {
  advanceIssues,
  commitBatch,
  createApiToken,
  createEndpoint,
  createEngineStore,
  createErasure,
  createReplay,
  endDryRun,
  requestDryRun,
  takeDryRun,
  tellPolicy,
} from "@penstock/store";
import { keepRefusedRequests } from "@penstock/store/intake";
import { ENDPOINT_DEFAULTS } from "@penstock/schemas";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ConsoleUnderTest, startConsole } from "./console-under-test.ts";

/** What a customer wrote, wherever it may have got to. */
const SECRET = "mybankpin";
const SAID = `cannot read "${SECRET}" of ada.${SECRET}@example.com`;
const ENDPOINT = "ep_00000000000000aa";

let console: ConsoleUnderTest;
/** What each route that reads is asked with, where it needs something. */
let asked: Record<string, { path?: Record<string, string>; query?: Record<string, string> }>;
let whole: Record<string, string>;
let masked: Record<string, string>;
beforeAll(async () => {
  console = await startConsole({}, { list: defineSources({ buzzbip: buzzbip() }).list, secrets: {} });
  asked = await plant();
  whole = await readAll(true);
  masked = await readAll(false);
});
afterAll(() => console.close());

async function plant(): Promise<typeof asked> {
  const { store } = console;
  const batch = await commitBatch(store, [
    {
      source: "buzzbip",
      eventId: "evt_1",
      key: null,
      type: "message.received",
      createdAt: null,
      subjects: ["cnt_1"],
      problem: null,
      traceparent: null,
      bodyVaries: false,
      arrival: { names: ["user-agent"], values: [SECRET], secret: null, signatureAgeMs: null },
      body: Buffer.from(JSON.stringify({ data: { text: SECRET } })),
      replay: null,
    },
  ]);
  await createEngineStore(store, "test").transaction((tx) =>
    tx.claimBatches({ batches: [batch], onlyThese: true, maxEvents: 100, maxBytes: 1e9 }),
  );
  const seq = batch * 1_024;
  const endpoint = { ...ENDPOINT_DEFAULTS, url: "https://example.com/hook" };
  await createEndpoint(store, { id: ENDPOINT, secret: "sealed", settings: endpoint }, "setup");
  await store.pool.query(
    `INSERT INTO penstock.handlers (name, kind, types, registered_at) VALUES ('inbox', 'transactional', '{message.received}', now())`,
  );
  await store.pool.query(
    `WITH told (subscriber, state, lane, class, message) AS (
       VALUES ('inbox', 'dead', NULL, 'TypeError', $1), ('ordered', 'retrying', 'cnt_1', 'TypeError', $1),
              ($2, 'dead', NULL, 'HTTP 500', $3)
     ), tried AS (
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, next_attempt_at, lane, lane_at)
       SELECT e.day, e.seq, t.subscriber, t.state, 1, CASE t.state WHEN 'retrying' THEN now() END, t.lane,
              CASE WHEN t.lane IS NOT NULL THEN now() END
         FROM penstock.events e, told t
     )
     INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class, error_message, worker)
     SELECT e.day, e.seq, t.subscriber, 1, now(), now(), 'failed', t.class, t.message, 'w' FROM penstock.events e, told t`,
    [SAID, ENDPOINT, `we know ${SECRET}`],
  );
  await store.pool.query(
    `INSERT INTO penstock.quarantine (day, seq, reason, detail) SELECT day, seq, 'invalid-shape', $1 FROM penstock.events`,
    [SAID],
  );
  await store.pool.query("UPDATE penstock.endpoints SET last_error = $1, failures = 20, failing_since = now()", [
    `HTTP 500: we know ${SECRET}`,
  ]);
  await advanceIssues(store);
  await keepRefusedRequests(store, [
    {
      source: "buzzbip",
      agoMs: 0,
      reason: "mismatch",
      status: 401,
      address: "127.0.0.1",
      method: "POST",
      path: "/webhooks/buzzbip",
      headers: { "x-signature": SECRET },
      findings: [],
      bodyBytes: 1,
      bodySha256: null,
      body: null,
      leftOut: 0,
    },
  ]);
  await tellPolicy(store, { days: 30, bytes: null, dedupeWindowDays: 36_500, sources: {} }, "worker-1");
  const day = new Date().toISOString().slice(0, 10);
  const dryRun = await requestDryRun(store, { day, seq, handler: "inbox" }, "setup");
  await takeDryRun(store, ["inbox"], "w");
  await endDryRun(store, dryRun, {
    outcome: "failed",
    error: { errorClass: "TypeError", errorMessage: SAID },
    tookMs: 1,
    tables: [],
    statements: [
      { sql: `INSERT INTO "notes" VALUES ($1, 'it''s ${SECRET}', $2)`, rows: null, error: `no row '${SECRET}'` },
      { sql: `INSERT INTO notes VALUES ($$${SECRET}$$)`, rows: 1, error: null },
    ],
  });
  await createReplay(store, { id: "mend", handler: "inbox", request: {} }, "setup");
  const erasure = await createErasure(store, [{ kind: "subject", value: "cnt_other" }], "setup");
  const [issue] = (await store.pool.query<{ id: number }>("SELECT id FROM penstock.issues WHERE subject = 'inbox'"))
    .rows;
  const event = { path: { source: "buzzbip", id: "evt_1" } };
  return {
    "GET /events/{source}/{id}": event,
    "GET /events/{source}/{id}/body": event,
    "GET /events/{source}/{id}/arrival": event,
    "GET /events/{source}/{id}/related": event,
    "GET /events/{source}/{id}/replay": event,
    "GET /deliveries/details": { query: { event: "evt_1" } },
    "GET /composer/sample": { query: { source: "buzzbip" } },
    "GET /composer/outcome": { query: { source: "buzzbip", eventId: "evt_1" } },
    "GET /dry-runs/{id}": { path: { id: dryRun } },
    "GET /issues/{id}": { path: { id: String(issue?.id) } },
    "GET /issues/{id}/retry": { path: { id: String(issue?.id) } },
    "GET /endpoints/{id}": { path: { id: ENDPOINT } },
    "GET /endpoints/{id}/deliveries": { path: { id: ENDPOINT } },
    "GET /endpoints/{id}/deliveries/{seq}": { path: { id: ENDPOINT, seq: String(seq) } },
    "GET /replays/{id}": { path: { id: "mend" } },
    "GET /replay-count": { query: { handler: "inbox" } },
    "GET /erasures/{id}": { path: { id: String(erasure) } },
    "GET /retention/gone": { query: { event: "evt_1" } },
  };
}

const routes = Object.entries(adminRoutes as Routes)
  .filter(([route, { stream }]) => route.startsWith("GET ") && stream === undefined)
  .map(([route]) => route);

/** What each route that reads answers an admin who may see payloads, or may not. */
async function readAll(seesPayloads: boolean): Promise<Record<string, string>> {
  const token = { name: `sees ${seesPayloads}`, role: "admin", seesPayloads, expiresInDays: null } as const;
  const { value } = await createApiToken(console.store, token, "test");
  const answers: Record<string, string> = {};
  for (const route of routes) {
    const { path = {}, query = {} } = asked[route] ?? {};
    const filled = route.slice(4).replaceAll(/\{(\w+)\}/g, (_, name: string) => path[name] ?? "none");
    const url = `${console.url}/api/v1${filled}?${new URLSearchParams(query).toString()}`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${value}` } });
    answers[route] = await answer.text();
    expect([route, answer.status, answers[route]]).toEqual([route, 200, expect.any(String)]);
  }
  return answers;
}

test.each(routes)("%s shows nothing of a payload to who may not see payloads", (route) => {
  expect(masked[route]).not.toContain(SECRET);
});

test("who may see payloads reads the whole of them, in these answers", () => {
  expect(routes.filter((route) => whole[route]?.includes(SECRET))).toEqual([
    "GET /events",
    "GET /events/{source}/{id}",
    "GET /events/{source}/{id}/body",
    "GET /events/{source}/{id}/arrival",
    "GET /dry-runs/{id}",
    "GET /deliveries",
    "GET /deliveries/details",
    "GET /refused-requests",
    "GET /composer/outcome",
    "GET /endpoints",
    "GET /endpoints/{id}",
    "GET /endpoints/{id}/deliveries",
    "GET /endpoints/{id}/deliveries/{seq}",
    "GET /handlers/errors",
    "GET /lanes",
  ]);
});

test("what is masked keeps the class of an error and what it has in common with others, not what a receiver answered", () => {
  const answer = (route: string): unknown => JSON.parse(masked[route] ?? "null");
  expect(answer("GET /handlers/errors")).toMatchObject({
    items: expect.arrayContaining([
      expect.objectContaining({ errorClass: "TypeError", message: "cannot read … of <address>" }),
      expect.objectContaining({ errorClass: "HTTP 500", message: "•••" }),
    ]) as unknown[],
  });
  expect(answer("GET /endpoints/{id}")).toMatchObject({ lastError: "HTTP 500: •••" });
  expect(answer("GET /deliveries")).toMatchObject({
    items: expect.arrayContaining([
      expect.objectContaining({ subscriber: "inbox", error: "TypeError: cannot read … of <address>" }),
    ]) as unknown[],
  });
  expect(answer("GET /dry-runs/{id}")).toMatchObject({
    report: {
      statements: [{ sql: `INSERT INTO "notes" VALUES ($1, '•••', $2)` }, { sql: "INSERT INTO notes VALUES ('•••')" }],
    },
  });
});
