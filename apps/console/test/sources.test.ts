import type { Client } from "@penstock/client";
import { buzzbip, defineSources, signBuzzBip, stripe } from "@penstock/sources";
import { eventually } from "@penstock/testing";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type ConsoleUnderTest, MASTER_KEY, startConsole } from "./console-under-test.ts";
import { type IngestBeside, startIngestBeside } from "./ingest-beside.ts";

const FIRST = "whsec_of_the_environment";
const sources = defineSources({ buzzbip: buzzbip(), stripe: stripe() });
const port = 20_000 + (process.pid % 20_000);

let console: ConsoleUnderTest;
let ingest: IngestBeside;
let admin: Client;
beforeAll(async () => {
  const secrets = { buzzbip: [FIRST], stripe: ["whsec_of_stripe_for_tests"] };
  console = await startConsole({ INGEST_URL: `http://127.0.0.1:${port}` }, { list: sources.list, secrets });
  ingest = await startIngestBeside(console.databaseUrl, sources, {
    INGEST_PORT: String(port),
    PENSTOCK_MASTER_KEY: MASTER_KEY,
    BUZZBIP_SIGNING_SECRETS: FIRST,
    STRIPE_SIGNING_SECRETS: "whsec_of_stripe_for_tests",
  });
  admin = await console.as("admin", true);
});
afterAll(async () => {
  await ingest.close();
  await console.close();
});

async function sourceNamed(name: string) {
  const { items } = await admin.call("GET /sources");
  return items.find((source) => source.name === name)!;
}

const sendWith = async (secret: string): Promise<number> => {
  const { body } = await admin.call("GET /composer/sample", { query: { source: "buzzbip" } });
  const headers = signBuzzBip(Buffer.from(body), secret);
  return (await fetch(`${ingest.url}/webhooks/buzzbip`, { method: "POST", body, headers })).status;
};

test("a source is shown with its URL, its secrets and when it was last heard of, and no secret", async () => {
  expect(await sendWith(FIRST)).toBe(200);
  await eventually(async () => {
    expect(await sourceNamed("buzzbip")).toMatchObject({
      url: `${ingest.url}/webhooks/buzzbip`,
      secrets: [{ kept: false, inEnvironment: true, usedAt: expect.any(String) }],
      lastEventAt: expect.any(String),
      silence: { state: "learning", usual: null, silentAfterMs: null, advice: expect.stringContaining("webhook") },
    });
  });
  expect(JSON.stringify(await admin.call("GET /sources"))).not.toContain(FIRST);
});

test("a secret is added, rotated to, shown on purpose and removed, and ingest follows", async () => {
  const path = { name: "buzzbip" };
  const added = await admin.call("POST /sources/{name}/secrets", { path, body: { secret: "whsec_given_by_an_admin" } });
  expect(added.secret).toBeNull();
  await eventually(async () => expect(await sendWith("whsec_given_by_an_admin")).toBe(200));
  const rotated = await admin.call("POST /sources/{name}/secrets", { path, body: { endOthersInMs: 3_600_000 } });
  await eventually(async () => expect(await sendWith(rotated.secret!)).toBe(200));
  const one = { ...path, fingerprint: rotated.fingerprint };
  expect(await admin.call("POST /sources/{name}/secrets/{fingerprint}/reveal", { path: one })).toEqual({
    secret: rotated.secret,
  });
  await admin.call("DELETE /sources/{name}/secrets/{fingerprint}", { path: one });
  await eventually(async () => expect(await sendWith(rotated.secret!)).toBe(401));
  const { items } = await admin.call("GET /audit", { query: { target: "buzzbip", action: "sources" } });
  expect(items.map(({ action }) => action)).toEqual([
    "sources.secrets.remove",
    "sources.secrets.reveal",
    "sources.secrets.rotate",
    "sources.secrets.add",
  ]);
});

test.each([
  ["signed", 200],
  ["unsigned", 401],
  ["tampered", 401],
] as const)("the composer sends %s, and what ingest answered is told", async (way, status) => {
  const operator = await console.as("operator", true);
  const sample = await operator.call("GET /composer/sample", {
    query: { source: "buzzbip", type: "contact.created" },
  });
  expect(JSON.parse(sample.body)).toMatchObject({ type: "contact.created" });
  const sent = await operator.call("POST /composer", { body: { source: "buzzbip", body: sample.body, way } });
  expect(sent).toMatchObject({ status });
  if (status !== 200) {
    await eventually(async () => {
      const { items } = await operator.call("GET /refused-requests", { query: { source: "buzzbip", limit: 1 } });
      expect(items[0]).toMatchObject({ reason: way === "unsigned" ? "missing-signature" : "mismatch" });
      expect(items[0]!.findings.length).toBeGreaterThan(0);
    });
    return;
  }
  await console.recordEvents();
  const query = { source: "buzzbip", eventId: sent.eventId! };
  expect((await operator.call("GET /composer/outcome", { query })).event).toMatchObject({ status: "processed" });
});

test("an old request is refused by a source that signs the time, with the reason", async () => {
  const { body } = await admin.call("GET /composer/sample", { query: { source: "stripe" } });
  for (const [way, status] of [
    ["signed", 200],
    ["old", 401],
  ] as const) {
    expect(await admin.call("POST /composer", { body: { source: "stripe", body, way } })).toMatchObject({ status });
  }
  await eventually(async () => {
    const { items } = await admin.call("GET /refused-requests", { query: { source: "stripe" } });
    expect(items[0]).toMatchObject({ reason: "timestamp-out-of-tolerance" });
    expect(items[0]!.findings.join()).toContain("more than the tolerance");
  });
});

test("who may not see payloads sees the reason of a refusal, and no value of a header", async () => {
  const body = { source: "buzzbip", body: "{}", way: "tampered" } as const;
  await admin.call("POST /composer", { body });
  const viewer = await console.as("viewer");
  await eventually(async () => {
    const { items } = await viewer.call("GET /refused-requests", { query: { source: "buzzbip", limit: 1 } });
    expect(items[0]).toMatchObject({ bodyBytes: 3, headers: { "x-buzzbip-signature": "•••" } });
  });
});

test("what is wrong is told with what to do", async () => {
  const path = { name: "nobody" };
  await expect(admin.call("POST /sources/{name}/secrets", { path, body: {} })).rejects.toMatchObject({ status: 404 });
  const gone = { name: "buzzbip", fingerprint: "00000000" };
  await expect(admin.call("DELETE /sources/{name}/secrets/{fingerprint}", { path: gone })).rejects.toMatchObject({
    status: 404,
  });
  const elsewhere = await startConsole({ INGEST_URL: "http://127.0.0.1:9" }, { list: sources.list, secrets: {} });
  onTestFinished(() => elsewhere.close());
  const operator = await elsewhere.as("operator");
  const body = { source: "buzzbip", body: "{}", way: "unsigned" } as const;
  await expect(operator.call("POST /composer", { body })).rejects.toMatchObject({
    status: 502,
    detail: expect.stringContaining("INGEST_URL"),
  });
});
