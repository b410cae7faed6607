import { createHmac } from "node:crypto";
import { buzzbip, defineSource, defineSources, github, slack, stripe, verifyHmac } from "@penstock/sources";
import type { Store } from "@penstock/store";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { countRows, openDatabase, send, startIngest, storeAt } from "./ingest-under-test.ts";

let databaseUrl: string;
let store: Store;

beforeAll(async () => {
  databaseUrl = await openDatabase();
  store = storeAt(databaseUrl);
});
beforeEach(async () => {
  await store.pool.query("TRUNCATE penstock.event_keys, penstock.events, penstock.pending");
});
afterAll(() => store.close());

const SECRETS = {
  STRIPE_EU_SIGNING_SECRETS: "whsec_of_the_eu_account",
  STRIPE_US_SIGNING_SECRETS: "whsec_of_the_us_account",
  SLACK_SIGNING_SECRETS: "slack_signing_secret",
  GITHUB_TOKEN: "github_webhook_secret",
};
const sources = defineSources({
  buzzbip: buzzbip(),
  "stripe-eu": stripe(),
  "stripe-us": stripe({ maxBodyBytes: 1_024, ratePerSecond: 1 }),
  slack: slack(),
  github: github({ secretsFrom: "GITHUB_TOKEN" }),
});
const start = () => startIngest(databaseUrl, SECRETS, sources);

const hex = (secret: string, text: string): string => createHmac("sha256", secret).update(text).digest("hex");
const now = (): string => String(Math.floor(Date.now() / 1_000));

function fromStripe(source: string, secret: string, size = 0) {
  const body = JSON.stringify({
    id: `evt_${Math.random()}`,
    type: "charge.succeeded",
    created: 1,
    pad: "x".repeat(size),
  });
  const at = now();
  const headers = { "stripe-signature": `t=${at},v1=${hex(secret, `${at}.${body}`)}` };
  return { path: `/webhooks/${source}`, body: Buffer.from(body), headers };
}

function fromSlack(value: object) {
  const body = JSON.stringify(value);
  const at = now();
  const signature = `v0=${hex(SECRETS.SLACK_SIGNING_SECRETS, `v0:${at}:${body}`)}`;
  const headers = { "x-slack-signature": signature, "x-slack-request-timestamp": at };
  return { path: "/webhooks/slack", body: Buffer.from(body), headers };
}

test("several sources of one provider have secrets of their own, and a type has its provider in front", async () => {
  const { port } = await start();
  const [eu, us] = [SECRETS.STRIPE_EU_SIGNING_SECRETS, SECRETS.STRIPE_US_SIGNING_SECRETS];
  expect((await send(port, fromStripe("stripe-eu", eu))).status).toBe(200);
  expect((await send(port, fromStripe("stripe-us", us))).status).toBe(200);
  expect((await send(port, fromStripe("stripe-us", eu))).status).toBe(401);
  const { rows } = await store.pool.query("SELECT source, type FROM penstock.events ORDER BY source");
  expect(rows).toEqual(["stripe-eu", "stripe-us"].map((source) => ({ source, type: "stripe.charge.succeeded" })));
});

test("a source has limits of its own", async () => {
  const { port } = await start();
  const secret = SECRETS.STRIPE_US_SIGNING_SECRETS;
  expect((await send(port, fromStripe("stripe-us", secret, 2_000))).status).toBe(413);
  expect((await send(port, fromStripe("stripe-eu", SECRETS.STRIPE_EU_SIGNING_SECRETS, 2_000))).status).toBe(200);
  const sent = Array.from({ length: 20 }, () => send(port, fromStripe("stripe-us", secret)));
  const answers = await Promise.all(sent);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
});

test("id and type are taken from headers where they stand there, and the secret from a variable of any name", async () => {
  const { port } = await start();
  const body = Buffer.from('{"ref":"refs/heads/main"}');
  const headers = {
    "X-Hub-Signature-256": `sha256=${hex(SECRETS.GITHUB_TOKEN, body.toString())}`,
    "X-GitHub-Delivery": "72d3162e",
    "X-GitHub-Event": "push",
  };
  expect((await send(port, { path: "/webhooks/github", body, headers })).status).toBe(200);
  const { rows } = await store.pool.query("SELECT event_id, type, problem FROM penstock.events");
  expect(rows).toEqual([{ event_id: "72d3162e", type: "github.push", problem: null }]);
});

test("a handshake is answered once it is verified, and not stored", async () => {
  const { port } = await start();
  const asked = fromSlack({ type: "url_verification", challenge: "3eZbrw1aB10FEMAGAZd4FyFQ" });
  const answer = await send(port, asked);
  expect(answer).toMatchObject({ status: 200, text: "3eZbrw1aB10FEMAGAZd4FyFQ" });
  expect(answer.headers["content-type"]).toBe("text/plain");
  const forged = { ...asked, headers: { ...asked.headers, "x-slack-signature": `v0=${"0".repeat(64)}` } };
  expect(await send(port, forged)).toMatchObject({ status: 401 });
  expect(await countRows(store)).toEqual({ events: 0, keys: 0, pending: 0 });
  const event = fromSlack({ type: "event_callback", event_id: "Ev1", event: { type: "app_mention" } });
  expect(await send(port, event)).toMatchObject({ status: 200, text: '{"status":"accepted"}' });
  expect(await countRows(store)).toEqual({ events: 1, keys: 1, pending: 1 });
});

test("the code of a source that throws refuses or quarantines, and takes nobody down", async () => {
  const fails = (): never => {
    throw new Error("a mistake");
  };
  const verify = (): { ok: true; secretIndex: number } => ({ ok: true, secretIndex: 0 });
  const broken = defineSources({
    "fails-to-verify": defineSource({ provider: "a", verify: fails, identify: fails }),
    "fails-to-identify": defineSource({ provider: "a", verify, identify: fails, handshake: fails }),
  });
  const env = { FAILS_TO_VERIFY_SIGNING_SECRETS: "any", FAILS_TO_IDENTIFY_SIGNING_SECRETS: "any" };
  const { port, logged } = await startIngest(databaseUrl, env, broken);
  expect((await send(port, { path: "/webhooks/fails-to-verify" })).status).toBe(401);
  expect(logged()).toContain('"reason":"verify-failed"');
  expect((await send(port, { path: "/webhooks/fails-to-identify" })).status).toBe(200);
  const { rows } = await store.pool.query("SELECT type, problem FROM penstock.events");
  expect(rows).toEqual([{ type: null, problem: "no-envelope" }]);
});

test("a source of one's own is one definition", async () => {
  const acme = defineSource({
    provider: "acme",
    verify: (request, secrets) =>
      verifyHmac({ signatures: [request.header("x-acme-signature")], content: [request.url, request.body] }, secrets),
    identify: (_request, data) => ({ id: data["number"], type: data["kind"] }),
  });
  const { port } = await startIngest(databaseUrl, { ACME_SIGNING_SECRETS: "acme_secret" }, defineSources({ acme }));
  const body = '{"number":"7","kind":"order.paid"}';
  const path = "/webhooks/acme?region=eu";
  const headers = { "X-Acme-Signature": hex("acme_secret", path + body) };
  expect((await send(port, { path, headers, body: Buffer.from(body) })).status).toBe(200);
  expect((await send(port, { path: `${path}2`, headers, body: Buffer.from(body) })).status).toBe(401);
});
