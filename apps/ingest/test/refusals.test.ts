import { hash } from "node:crypto";
import { buzzbip, defineSources, hmac, signBuzzBip } from "@penstock/sources";
import { listRefusedRequests, REFUSED_KEPT, type RefusedRow } from "@penstock/store";
import { keepRefusedRequests } from "@penstock/store/intake";
import { eventually } from "@penstock/testing";
import { expect, test } from "vitest";
import { eventBody, databaseOfFile, send, type Sending, signed, startIngest, WEBHOOK } from "./ingest-under-test.ts";

const { databaseUrl, store } = await databaseOfFile("penstock.refused_requests, penstock.source_activity");

const acme = (options: { keepsRefusedBodies?: boolean; maxBodyBytes?: number } = {}) =>
  hmac({ provider: "acme", header: "X-Acme-Signature", prefix: "sha256=", ...options });
const ACME = { ACME_SIGNING_SECRETS: "the-secret-of-acme-for-tests" };

/** What is kept of a request that is refused. */
async function refused(
  sending: Sending,
  sources = defineSources({ buzzbip: buzzbip(), acme: acme() }),
): Promise<RefusedRow> {
  const { port } = await startIngest(databaseUrl, ACME, sources);
  const { status } = await send(port, sending);
  expect(status).toBeGreaterThanOrEqual(400);
  return eventually(async () => {
    const [row] = await listRefusedRequests(store);
    expect(row).toMatchObject({ status });
    return row!;
  });
}

const body = eventBody();

test.each<[string, Sending, Partial<RefusedRow>, RegExp]>([
  [
    "no signature",
    { body, headers: {} },
    { reason: "missing-signature", status: 401 },
    /header x-buzzbip-signature is missing/,
  ],
  [
    "another secret",
    { body, headers: signed(body, "whsec_of_somebody_else") },
    { reason: "mismatch", status: 401 },
    /no secret in BUZZBIP_SIGNING_SECRETS and the database makes this signature/,
  ],
  [
    "a body that was changed",
    { body: Buffer.concat([body, Buffer.from("\n")]), headers: signed(body) },
    { reason: "mismatch" },
    /the signature is right for it without a newline at its end/,
  ],
  [
    "the secret of another source",
    { body, headers: signBuzzBip(body, ACME.ACME_SIGNING_SECRETS) },
    { reason: "mismatch" },
    /signed with secret 1 of source acme/,
  ],
  [
    "an encoded body",
    { body, headers: { "content-encoding": "gzip" } },
    { status: 415, bodyBytes: null },
    /Content-Encoding is gzip/,
  ],
])("%s: the request is kept with the reason", async (_, sending, kept, finding) => {
  const row = await refused(sending);
  expect(row).toMatchObject({ source: "buzzbip", method: "POST", path: WEBHOOK, leftOut: 0, ...kept });
  expect(row.findings.join("\n")).toMatch(finding);
});

test("a body that is too large is not read, and the limit is told", async () => {
  const sources = defineSources({ buzzbip: buzzbip({ maxBodyBytes: 1_024 }), acme: acme() });
  const row = await refused({ body: Buffer.alloc(2_000, "a"), headers: {} }, sources);
  expect(row).toMatchObject({ status: 413, bodyBytes: null, bodySha256: null });
  expect(row.findings.join()).toContain("larger than 1024 bytes");
});

test("headers that the source does not ask for, values of the query and the body are not kept", async () => {
  const headers = {
    ...signed(body, "whsec_of_somebody_else"),
    authorization: "Bearer of-a-secret",
    cookie: "session=of-a-secret",
    "x-other": "of-a-secret",
    "content-type": "application/json",
  };
  const row = await refused({ body, headers, path: `${WEBHOOK}?token=of-a-secret&b=2` });
  expect(Object.keys(row.headers).toSorted()).toEqual(["content-type", "x-buzzbip-signature"]);
  expect(row).toMatchObject({
    path: `${WEBHOOK}?token=…&b=…`,
    bodyBytes: body.length,
    bodySha256: hash("sha256", body, "hex"),
    hasBody: false,
  });
  const { rows } = await store.pool.query("SELECT * FROM penstock.refused_requests");
  expect(JSON.stringify(rows)).not.toContain("of-a-secret");
});

test("a source that allows it has its bodies kept, and long ones hashed all the same", async () => {
  const sources = defineSources({ acme: acme({ keepsRefusedBodies: true }) });
  const row = await refused({ body, headers: {}, path: "/webhooks/acme" }, sources);
  expect(row.hasBody).toBe(true);
  const { rows } = await store.pool.query<{ body: Buffer }>("SELECT body FROM penstock.refused_requests");
  expect(rows[0]!.body).toEqual(body);
  await store.pool.query("TRUNCATE penstock.refused_requests");
  const long = Buffer.alloc(100_000, "a");
  const kept = await refused({ body: long, headers: {}, path: "/webhooks/acme" }, sources);
  expect(kept).toMatchObject({ hasBody: false, bodyBytes: long.length, bodySha256: hash("sha256", long, "hex") });
  expect(kept.findings.join()).toContain("too long");
});

test("of a flood a few are kept, the rest is a number, and what is signed is accepted meanwhile", async () => {
  const { port } = await startIngest(databaseUrl, { LOG_LEVEL: "fatal", INGEST_ADDRESS_RATE: "0" });
  const flood = 400;
  const begun = performance.now();
  await Promise.all(Array.from({ length: flood }, () => send(port, { body, headers: {} })));
  expect((await send(port)).status).toBe(200);
  // 5 at once and 5 a second.
  const most = 5 + 5 * Math.ceil((performance.now() - begun) / 1_000);
  const { rows } = await eventually(async () => {
    await send(port, { body, headers: {} });
    const found = await store.pool.query<{ kept: number; all: number }>(
      "SELECT count(*)::int AS kept, (count(*) + sum(left_out))::int AS all FROM penstock.refused_requests",
    );
    expect(found.rows[0]!.all).toBeGreaterThanOrEqual(flood);
    return found;
  });
  expect(rows[0]!.kept).toBeLessThan(most + 50);
  expect(rows[0]!.kept).toBeLessThan(flood / 2);
});

test("the last hundred or so of each source are kept, however many come", async () => {
  const one = (source: string, reason: string) => ({
    source,
    reason,
    agoMs: 0,
    status: 401,
    address: "::1",
    method: "POST",
    path: "/",
    headers: {},
    findings: ["a\0b"],
    bodyBytes: 0,
    bodySha256: null,
    body: null,
    leftOut: 0,
  });
  await keepRefusedRequests(store, [one("quiet", "kept")]);
  for (let n = 0; n < 30; n++) {
    await keepRefusedRequests(
      store,
      Array.from({ length: 10 }, (_, at) => one("loud", String(n * 10 + at))),
    );
  }
  const loud = await listRefusedRequests(store, { source: "loud", limit: 1_000 });
  expect(loud.length).toBeGreaterThanOrEqual(REFUSED_KEPT);
  expect(loud.length).toBeLessThanOrEqual(REFUSED_KEPT + 10);
  expect(loud[0]!.reason).toBe("299");
  expect(await listRefusedRequests(store, { source: "quiet" })).toHaveLength(1);
  const older = await listRefusedRequests(store, { source: "loud", before: loud[1]!.id, limit: 1 });
  expect(older[0]!.reason).toBe("297");
});

test("with Postgres unable to take them, requests are refused as ever, and what is lost is counted in the next", async () => {
  await store.pool.query("ALTER TABLE penstock.refused_requests RENAME TO away");
  const { port, logged } = await startIngest(databaseUrl);
  try {
    expect((await send(port, { body, headers: {} })).status).toBe(401);
    await eventually(() => expect(logged()).toContain("refused requests could not be kept"));
  } finally {
    await store.pool.query("ALTER TABLE penstock.away RENAME TO refused_requests");
  }
  expect((await send(port, { body, headers: {} })).status).toBe(401);
  await eventually(async () => expect((await listRefusedRequests(store))[0]).toMatchObject({ leftOut: 1 }));
});
