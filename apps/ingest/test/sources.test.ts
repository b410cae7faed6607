import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import {
  buzzbip,
  defineSource,
  defineSources,
  discord,
  github,
  hmac,
  meta,
  microsoftGraph,
  slack,
  sliceJsonItems,
  stripe,
  trello,
  twilio,
  verifyHmac,
  zoom,
} from "@penstock/sources";
import { readArrival } from "@penstock/store";
import { describe, expect, test } from "vitest";
import {
  countRows,
  eventBody,
  databaseOfFile,
  recordEvents,
  send,
  type Sending,
  signed,
  startIngest,
  STORED,
} from "./ingest-under-test.ts";

const { databaseUrl, store } = await databaseOfFile();

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
  const { rows } = await store.pool.query(`SELECT source, type FROM ${STORED} ORDER BY source`);
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
  const { rows } = await store.pool.query(`SELECT event_id, type, problem FROM ${STORED}`);
  expect(rows).toEqual([{ event_id: "72d3162e", type: "github.push", problem: null }]);
});

test("with each event is kept which secret verified it, how old the signature was, and headers that are no secret", async () => {
  const keeps = defineSources({
    "stripe-eu": stripe({ keepsHeaders: ["X-Try"] }),
    github: github({ secretsFrom: "GITHUB_TOKEN" }),
    "stripe-us": stripe({ keepsHeaders: false }),
  });
  const { port } = await startIngest(databaseUrl, SECRETS, keeps);
  const common = { cookie: "session=PRIVATE", authorization: "Bearer PRIVATE", "user-agent": "Acme/1", "x-try": "2" };
  const sent = fromStripe("stripe-eu", SECRETS.STRIPE_EU_SIGNING_SECRETS);
  const at = String(Number(now()) - 100);
  const aged = `t=${at},v1=${hex(SECRETS.STRIPE_EU_SIGNING_SECRETS, `${at}.${sent.body.toString()}`)}`;
  await send(port, { ...sent, headers: { ...common, "stripe-signature": aged } });
  const body = Buffer.from("{}");
  const signature = `sha256=${hex(SECRETS.GITHUB_TOKEN, "{}")}`;
  const ofDelivery = { "x-hub-signature-256": signature, "x-github-delivery": "d1", "x-github-event": "push" };
  await send(port, { path: "/webhooks/github", body, headers: { ...common, ...ofDelivery } });
  const silent = fromStripe("stripe-us", SECRETS.STRIPE_US_SIGNING_SECRETS);
  await send(port, { ...silent, headers: { ...common, ...silent.headers } });

  const { rows } = await store.pool.query<{ day: string; seq: string }>(
    `SELECT day::text, seq FROM ${STORED} ORDER BY seq`,
  );
  const [fromEu, fromGithub, fromUs] = await Promise.all(
    rows.map(({ day, seq }) => readArrival(store, { day, seq: Number(seq) })),
  );
  expect(fromEu).toEqual({
    headers: [
      { name: "user-agent", value: "Acme/1" },
      { name: "x-try", value: "2" },
    ],
    secret: expect.stringMatching(/^[0-9a-f]+$/) as string,
    signatureAgeMs: expect.toSatisfy((age: number) => age >= 99_000 && age < 300_000) as number,
  });
  expect(fromGithub).toMatchObject({
    headers: [
      { name: "user-agent", value: "Acme/1" },
      { name: "x-github-delivery", value: "d1" },
      { name: "x-github-event", value: "push" },
    ],
    signatureAgeMs: null,
  });
  expect(fromUs).toBeNull();
  const { rows: stored } = await store.pool.query("SELECT arrivals FROM penstock.batches");
  expect(JSON.stringify(stored)).not.toMatch(/PRIVATE|sha256=|v1=/);
});

test("a handshake is answered once it is verified, and not stored", async () => {
  const { port } = await start();
  const asked = fromSlack({ type: "url_verification", challenge: "3eZbrw1aB10FEMAGAZd4FyFQ" });
  const answer = await send(port, asked);
  expect(answer).toMatchObject({ status: 200, text: "3eZbrw1aB10FEMAGAZd4FyFQ" });
  expect(answer.headers["content-type"]).toBe("text/plain");
  const forged = { ...asked, headers: { ...asked.headers, "x-slack-signature": `v0=${"0".repeat(64)}` } };
  expect(await send(port, forged)).toMatchObject({ status: 401 });
  expect(await countRows(store)).toEqual({ events: 0, pending: 0 });
  const event = fromSlack({ type: "event_callback", event_id: "Ev1", event: { type: "app_mention" } });
  expect(await send(port, event)).toMatchObject({ status: 200, text: '{"status":"accepted"}' });
  expect(await countRows(store)).toEqual({ events: 1, pending: 1 });
});

describe("a source whose provider asks before it sends, and sends several events at once", () => {
  const asking = defineSource({
    provider: "acme",
    hasVerifyToken: true,
    verify: ({ header, body }, secrets) =>
      verifyHmac({ signatures: [header("x-acme-signature")], content: [body] }, secrets),
    handshake({ method, url, verified }, _data, { verifyTokens }) {
      const query = new URLSearchParams(url.split("?")[1]);
      if (method === "HEAD") return { contentType: "text/plain", body: "" };
      if (method === "GET" && query.get("token") !== null) {
        const known = verifyTokens.includes(query.get("token")!);
        return known ? { contentType: "text/plain", body: query.get("challenge") ?? "" } : "refused";
      }
      const pinged = method === "POST" && !verified && query.has("ping");
      return pinged ? { status: 204, contentType: "application/json", body: "" } : null;
    },
    split: ({ body }) => sliceJsonItems(body),
    identify: (_request, { id, type }) => ({ id, type }),
  });
  const path = "/webhooks/acme";
  const startAsking = (env: Record<string, string> = {}) => {
    const secrets = { ACME_SIGNING_SECRETS: "acme_secret", ACME_VERIFY_TOKENS: "old token\nnew token", ...env };
    return startIngest(databaseUrl, secrets, defineSources({ acme: asking }));
  };
  const toSending = (body: string): Sending => ({
    path,
    body: Buffer.from(body),
    headers: { "x-acme-signature": hex("acme_secret", body) },
  });

  test("answers a GET with a live verify token, and refuses one with another", async () => {
    const { port, logged } = await startAsking();
    const ask = (query: string) => send(port, { method: "GET", path: `${path}?${query}`, headers: {} });
    for (const token of ["old+token", "new%20token"]) {
      const answer = await ask(`token=${token}&challenge=1158201444`);
      expect(answer).toMatchObject({ status: 200, text: "1158201444" });
      expect(answer.headers).toMatchObject({ "content-type": "text/plain", "x-content-type-options": "nosniff" });
    }
    const refused = await ask("token=guessed&challenge=1158201444");
    expect(refused).toMatchObject({ status: 403, headers: { "content-type": "application/problem+json" } });
    expect(refused.text).not.toContain("1158201444");
    expect(logged()).toContain('"reason":"verify-token"');
    expect(logged()).not.toMatch(/guessed|new token/);
    expect(await ask("challenge=1158201444")).toMatchObject({ status: 405, headers: { allow: "POST" } });
    expect(await countRows(store)).toEqual({ events: 0, pending: 0 });
  });

  test("answers a HEAD and an unsigned POST, and stores nothing of either", async () => {
    const { port } = await startAsking();
    expect(await send(port, { method: "HEAD", path, headers: {} })).toMatchObject({ status: 200, text: "" });
    const ping = { path: `${path}?ping`, body: Buffer.from('[{"id":"1","type":"a"}]'), headers: {} };
    expect(await send(port, ping)).toMatchObject({ status: 204, text: "" });
    expect((await send(port, { ...ping, path })).status).toBe(401);
    expect(await countRows(store)).toEqual({ events: 0, pending: 0 });
  });

  test("handshakes that anybody can send count against their address", async () => {
    const { port } = await startAsking({ INGEST_ADDRESS_RATE: "5" });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => send(port, { method: "HEAD", path, headers: {} })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
  });

  test("stores each event of a request with its exact bytes, once however they come again", async () => {
    const { port } = await startAsking();
    const [one, two, three] = [1, 2, 3].map((n) => `{ "id": "${n}",  "type": "order", "n": ${n}.10 }`);
    expect((await send(port, toSending(`[${one}, ${two}]`))).status).toBe(200);
    expect((await send(port, toSending(`[${two},${three}]`))).status).toBe(200);
    const events = await recordEvents(store);
    expect(events.toSorted((a, b) => Number(a.event_id) - Number(b.event_id))).toMatchObject(
      [one, two, three].map((body, at) => ({ event_id: `${at + 1}`, problem: null, body: Buffer.from(body!) })),
    );
  });

  test.each(["[]", "{}", "no JSON", '{"id":"1","type":"order"}'])(
    "a request without a list in it is one event: %s",
    async (body) => {
      const { port } = await startAsking();
      expect((await send(port, toSending(body))).status).toBe(200);
      const { rows } = await store.pool.query(`SELECT convert_from(body, 'UTF8') AS body FROM ${STORED}`);
      expect(rows).toEqual([{ body }]);
    },
  );

  test("does not start without a verify token", async () => {
    await expect(startAsking({ ACME_VERIFY_TOKENS: "" })).rejects.toThrow(/ACME_VERIFY_TOKENS is empty/);
  });
});

describe("providers that ask before they send", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const asking = defineSources({
    meta: meta(),
    graph: microsoftGraph(),
    trello: trello(),
    zoom: zoom(),
    discord: discord(),
  });
  const startAsking = () =>
    startIngest(
      databaseUrl,
      {
        META_SIGNING_SECRETS: "app_secret",
        META_VERIFY_TOKENS: "my verify token",
        GRAPH_SIGNING_SECRETS: "client state",
        TRELLO_SIGNING_SECRETS: "app secret",
        ZOOM_SIGNING_SECRETS: "secret token",
        DISCORD_SIGNING_SECRETS: Buffer.from(x, "base64url").toString("hex"),
      },
      asking,
    );
  const storedIds = async (): Promise<unknown[]> => {
    const events = (await recordEvents(store)).toSorted((a, b) => ((a.event_id ?? "") < (b.event_id ?? "") ? -1 : 1));
    return events.map(({ event_id, type }) => [event_id, type]);
  };

  test("Meta's GET gets its challenge back for the right verify token, and 403 for another", async () => {
    const { port } = await startAsking();
    const ask = (token: string) => {
      const query = `hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=${token}`;
      return send(port, { method: "GET", path: `/webhooks/meta?${query}`, headers: {} });
    };
    const answer = await ask("my%20verify%20token");
    expect(answer).toMatchObject({ status: 200, text: "1158201444", headers: { "content-type": "text/plain" } });
    const refused = await ask("guessed");
    expect(refused.status).toBe(403);
    expect(refused.text).not.toContain("1158201444");
  });

  test("what Meta sends together is stored one by one, once, however it is grouped when it comes again", async () => {
    const { port } = await startAsking();
    const [one, two, three] = ["a", "b", "c"].map((id) => ({ field: "messages", value: { messages: [{ id }] } }));
    for (const [time, ...changes] of [
      [1, one, two],
      [2, two, three],
      [3, one],
    ]) {
      const body = JSON.stringify({ object: "whatsapp_business_account", entry: [{ id: "1", time, changes }] });
      const headers = { "x-hub-signature-256": `sha256=${hex("app_secret", body)}` };
      expect((await send(port, { path: "/webhooks/meta", headers, body: Buffer.from(body) })).status).toBe(200);
    }
    expect(await storedIds()).toEqual(["a", "b", "c"].map((id) => [id, "meta.whatsapp.messages"]));
  });

  test("Microsoft Graph's validation gets its token, and its notifications are vouched for by clientState", async () => {
    const { port } = await startAsking();
    const path = "/webhooks/graph";
    const asked = { path: `${path}?validationToken=Validation%3a+a%2Bb`, headers: {}, body: Buffer.alloc(0) };
    const answer = await send(port, asked);
    expect(answer).toMatchObject({ status: 200, text: "Validation: a+b", headers: { "content-type": "text/plain" } });
    const notify = (...states: string[]) => {
      const value = states.map((clientState, at) => ({
        id: `${at}`,
        subscriptionId: "s",
        clientState,
        changeType: "created",
      }));
      return send(port, { path, headers: {}, body: Buffer.from(JSON.stringify({ value })) });
    };
    expect((await notify("client state", "guessed")).status).toBe(401);
    expect((await notify("client state", "client state")).status).toBe(200);
    expect((await notify("client state")).status).toBe(200);
    expect(await storedIds()).toEqual(["s/0", "s/1"].map((id) => [id, "microsoft-graph.resource.created"]));
  });

  test("Trello's HEAD is answered", async () => {
    const { port } = await startAsking();
    const answer = await send(port, { method: "HEAD", path: "/webhooks/trello", headers: {} });
    expect(answer).toMatchObject({ status: 200, text: "" });
  });

  test("Zoom's validation is answered with a proof, once it is verified", async () => {
    const { port } = await startAsking();
    const body = JSON.stringify({
      event: "endpoint.url_validation",
      payload: { plainToken: "qgg8vlvZRS6UYooatFL8Aw" },
    });
    const at = now();
    const ask = (secret: string) => {
      const headers = { "x-zm-signature": `v0=${hex(secret, `v0:${at}:${body}`)}`, "x-zm-request-timestamp": at };
      return send(port, { path: "/webhooks/zoom", headers, body: Buffer.from(body) });
    };
    const answer = await ask("secret token");
    expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(JSON.parse(answer.text)).toEqual({
      plainToken: "qgg8vlvZRS6UYooatFL8Aw",
      encryptedToken: hex("secret token", "qgg8vlvZRS6UYooatFL8Aw"),
    });
    expect((await ask("another")).status).toBe(401);
    expect(await countRows(store)).toEqual({ events: 0, pending: 0 });
  });

  test("Discord's PING is answered where its signature is right, and its events with the 204 that it wants", async () => {
    const { port } = await startAsking();
    const ping = (body: string, signed = body) => {
      const at = now();
      const signature = sign(null, Buffer.from(at + signed), privateKey).toString("hex");
      const headers = { "x-signature-ed25519": signature, "x-signature-timestamp": at };
      return send(port, { path: "/webhooks/discord", headers, body: Buffer.from(body) });
    };
    expect(await ping('{"version":1,"type":0}')).toMatchObject({ status: 204, text: "" });
    expect(await ping('{"id":"1","type":1}')).toMatchObject({ status: 200, text: '{"type":1}' });
    expect((await ping('{"type":0}', '{"type":1}')).status).toBe(401);
    expect(await countRows(store)).toEqual({ events: 0, pending: 0 });
    const event = {
      version: 1,
      type: 1,
      event: { type: "ENTITLEMENT_CREATE", timestamp: "2024-10-18T18:41:21.109604" },
    };
    expect(await ping(JSON.stringify(event))).toMatchObject({ status: 204, text: "" });
    expect(await countRows(store)).toMatchObject({ events: 1 });
  });
});

test("an event whose body varies is the same by its id alone", async () => {
  const counted = defineSource({
    provider: "acme",
    bodyVaries: true,
    verify: () => ({ ok: true, secretIndex: 0 }),
    identify: (_request, { id }) => ({ id, type: "order" }),
  });
  const { port } = await startIngest(databaseUrl, { ACME_SIGNING_SECRETS: "any" }, defineSources({ acme: counted }));
  for (const tries of [1, 2]) {
    const body = Buffer.from(JSON.stringify({ id: "evt_1", tries }));
    expect((await send(port, { path: "/webhooks/acme", body })).status).toBe(200);
  }
  expect(await recordEvents(store)).toHaveLength(1);
});

test("what is one event is stored once, and what are two are stored twice", async () => {
  const url = "https://hooks.example.com/webhooks/twilio";
  const listed = defineSources({
    stripe: stripe(),
    acme: hmac({ provider: "acme", header: "X-Acme-Signature", prefix: "v1=" }),
    twilio: twilio({ url }),
  });
  const names = ["STRIPE", "ACME", "TWILIO"].map((name) => [`${name}_SIGNING_SECRETS`, "secret_of_all"]);
  const { port } = await startIngest(databaseUrl, Object.fromEntries(names) as Record<string, string>, listed);
  const at = now();
  for (const pending of [2, 1]) {
    const body = `{"id":"evt_1","type":"a","created":${at},"pending_webhooks":${pending}}`;
    const headers = { "stripe-signature": `t=${at},v1=${hex("secret_of_all", `${at}.${body}`)}` };
    expect((await send(port, { path: "/webhooks/stripe", body: Buffer.from(body), headers })).status).toBe(200);
  }
  for (const id of ["1524831183200260096", "1524831183200260097", "1524831183200260096"]) {
    const body = `{"id":${id},"type":"a"}`;
    // While its secret is rotated a sender signs with both.
    const headers = { "x-acme-signature": `v1=${hex("old", body)},v1=${hex("secret_of_all", body)}` };
    expect((await send(port, { path: "/webhooks/acme", body: Buffer.from(body), headers })).status).toBe(200);
  }
  for (const Digits of ["1", "2", "1"]) {
    const parameters = { CallSid: "CA9", CallStatus: "in-progress", Digits };
    const signed = url + Object.entries(parameters).flat().join("");
    const headers = { "x-twilio-signature": createHmac("sha1", "secret_of_all").update(signed).digest("base64") };
    const body = Buffer.from(new URLSearchParams(parameters).toString());
    expect((await send(port, { path: "/webhooks/twilio", body, headers })).status).toBe(200);
  }
  const events = await recordEvents(store);
  expect(events.map(({ event_id, problem }) => [event_id?.replace(/[0-9a-f]{32}$/, "…"), problem])).toEqual([
    ["evt_1", null],
    ["1524831183200260096", null],
    ["1524831183200260097", null],
    ["CA9.in-progress.…", null],
    ["CA9.in-progress.…", null],
  ]);
});

test("a time that cannot be read is told in the log, not often and without its value", async () => {
  const acme = hmac({ provider: "acme", header: "X-Acme-Signature" });
  const { port, logged } = await startIngest(
    databaseUrl,
    { ACME_SIGNING_SECRETS: "acme_secret" },
    defineSources({ acme, buzzbip: buzzbip() }),
  );
  const sendAt = async (createdAt: string): Promise<number> => {
    const body = JSON.stringify({ id: `evt_${createdAt.slice(-5)}`, type: "a", createdAt });
    const headers = { "x-acme-signature": hex("acme_secret", body) };
    return (await send(port, { path: "/webhooks/acme", body: Buffer.from(body), headers })).status;
  };
  expect(await sendAt("2026-06-01T14:32:00+0000")).toBe(200);
  expect(logged()).not.toContain("could not be read");
  for (const unread of ["2026-06-01T14:32:01", "2026-06-01T14:32:02"]) expect(await sendAt(unread)).toBe(200);
  const told = logged().match(/.*could not be read.*/g);
  expect(told).toEqual([expect.stringMatching(/"level":"warn".*"source":"acme","eventId":"evt_32:01".*`createdAt`/)]);
  expect(told?.join()).not.toContain("14:32");
  const { rows } = await store.pool.query(`SELECT created_at, problem FROM ${STORED} ORDER BY event_id`);
  expect(rows).toEqual([
    { created_at: new Date("2026-06-01T14:32:00Z"), problem: null },
    { created_at: null, problem: null },
    { created_at: null, problem: null },
  ]);
});

test("a header that is sent twice holds two signatures, of which one right one will do", async () => {
  const { port } = await start();
  const body = eventBody();
  const [right = ""] = Object.values(signed(body));
  for (const signatures of [["0".repeat(64), right], [right, "0".repeat(64)], [`${"0".repeat(64)}, ${right}`]]) {
    const headers = { "X-BuzzBip-Signature": signatures };
    expect((await send(port, { body, headers })).status).toBe(200);
  }
  const headers = { "X-BuzzBip-Signature": [right.slice(0, 32), right.slice(32)] };
  expect((await send(port, { body, headers })).status).toBe(401);
});

test("a header that a proxy sends twice says once what it says", async () => {
  const { port } = await start();
  const asked = fromSlack({ type: "event_callback", event_id: "Ev1", event: { type: "app_mention" } });
  const twice = Object.fromEntries(Object.entries(asked.headers).map(([name, value]) => [name, [value, value]]));
  expect((await send(port, { ...asked, headers: twice })).status).toBe(200);
  const [time = ""] = twice["x-slack-request-timestamp"] ?? [];
  const other = { ...twice, "x-slack-request-timestamp": [time, String(Number(time) + 1)] };
  expect((await send(port, { ...asked, headers: other })).status).toBe(401);
});

test("a target that is a whole URL is the same as its path and its host", async () => {
  const { port } = await startIngest(
    databaseUrl,
    { TWILIO_SIGNING_SECRETS: "twilio_auth_token" },
    defineSources({ twilio: twilio() }),
  );
  const signature = createHmac("sha1", "twilio_auth_token")
    .update("https://hooks.example.com/webhooks/twilio?a=bMessageSidSM1")
    .digest("base64");
  const statusOf = async (path: string, host: string): Promise<number> => {
    const headers = { host, "x-twilio-signature": signature };
    return (await send(port, { path, body: Buffer.from("MessageSid=SM1"), headers })).status;
  };
  expect(await statusOf("/webhooks/twilio?a=b", "hooks.example.com")).toBe(200);
  expect(await statusOf("http://hooks.example.com/webhooks/twilio?a=b", "hooks.example.com")).toBe(200);
  expect(await statusOf("http://hooks.example.com/webhooks/twilio?a=b", "10.0.0.1:8080")).toBe(200);
  expect(await statusOf("http://other.example.com/webhooks/twilio?a=b", "hooks.example.com")).toBe(401);
});

test("a secret that holds commas is one secret, and no part of it is", async () => {
  const secret = "secret,with,commas_1234567";
  const acme = hmac({ provider: "acme", header: "X-Acme-Signature" });
  const { port } = await startIngest(databaseUrl, { ACME_SIGNING_SECRETS: secret }, defineSources({ acme }));
  const body = '{"id":"1","type":"order"}';
  const statusOf = async (key: string): Promise<number> => {
    const headers = { "X-Acme-Signature": hex(key, body) };
    return (await send(port, { path: "/webhooks/acme", headers, body: Buffer.from(body) })).status;
  };
  expect(await statusOf(secret)).toBe(200);
  for (const part of [...secret.split(","), "secret,with"]) expect(await statusOf(part)).toBe(401);
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
  const { rows } = await store.pool.query(`SELECT type, problem FROM ${STORED}`);
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
