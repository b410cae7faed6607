import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from "node:crypto";
import { sign as signGitHub } from "@octokit/webhooks-methods";
import { Paddle } from "@paddle/paddle-node-sdk";
import { EventWebhook } from "@sendgrid/eventwebhook";
import { isValidSlackRequest } from "@slack/bolt";
import { ApiVersion, shopifyApi } from "@shopify/shopify-api";
import "@shopify/shopify-api/adapters/node";
import { PROVIDERS } from "@penstock/schemas";
import { sampleBody } from "@penstock/schemas/fixtures";
import { verifyKey } from "discord-interactions";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { describe, expect, test } from "vitest";
import twilioLibrary from "twilio";
import { buzzbip } from "./buzzbip.ts";
import { requestOfBody, type SignedRequest, type Source, type Verification } from "./define-source.ts";
import { discord } from "./discord.ts";
import { github } from "./github.ts";
import { hmac } from "./hmac.ts";
import { hubspot } from "./hubspot.ts";
import { intercom } from "./intercom.ts";
import { linear } from "./linear.ts";
import { meta } from "./meta.ts";
import { microsoftGraph } from "./microsoft-graph.ts";
import { paddle } from "./paddle.ts";
import { pagerduty } from "./pagerduty.ts";
import { sendgrid } from "./sendgrid.ts";
import { shopify } from "./shopify.ts";
import { slack } from "./slack.ts";
import { square } from "./square.ts";
import { standardWebhooks } from "./standard-webhooks.ts";
import { stripe } from "./stripe.ts";
import { trello } from "./trello.ts";
import { twilio } from "./twilio.ts";
import { zendesk } from "./zendesk.ts";
import { zoom } from "./zoom.ts";

/** What the contract needs to know of a provider. `sign` is not the code under test: the provider's own library, or openssl. */
interface Case {
  readonly name: string;
  readonly source: Source;
  /** Of the provider's form, all different. */
  readonly secrets: readonly [string, string, string];
  readonly body: string;
  /** Path and query; `/webhooks/it` unless given. */
  readonly url?: string;
  /** The headers that carry the signature, and what belongs to it. */
  sign(body: string, secret: string, at: Date): Record<string, string> | Promise<Record<string, string>>;
  /** Headers without which there is no signature. */
  readonly headers: readonly string[];
  /** What is no signature, in the header of the first name. */
  readonly malformed: readonly string[];
  readonly toleranceSeconds?: number;
  /** Whether an empty secret can be signed with. */
  readonly hasEmpty?: false;
}

const NOW = new Date("2026-06-01T14:32:00Z");
const seconds = (at: Date): string => String(Math.floor(at.getTime() / 1_000));
const opensslLike = (algorithm: string, key: string, text: string, encoding: "hex" | "base64"): string =>
  createHmac(algorithm, key).update(text).digest(encoding);
const plainSecrets = ["one_of_sixteen_bytes", "two_of_sixteen_bytes", "three_of_sixteen_b"] as const;
const json = JSON.stringify({ id: "evt_1", type: "charge.succeeded", created: 1_780_324_320, data: { object: {} } });

const whsec = (byte: number): string => `whsec_${Buffer.alloc(24, byte).toString("base64")}`;
const pairs = [0, 1, 2].map(() => generateKeyPairSync("ed25519"));
const publicKeys = pairs.map(({ publicKey }) => {
  const { x = "" } = publicKey.export({ format: "jwk" });
  return `whpk_${Buffer.from(x, "base64url").toString("base64")}`;
}) as unknown as readonly [string, string, string];
const privateKeyOf = (secret: string): KeyObject => {
  const pair = pairs[publicKeys.indexOf(secret)] ?? pairs[discordKeys.indexOf(secret)];
  const key = pair ?? ecPairs[sendgridKeys.indexOf(secret)];
  if (key === undefined) throw new Error("no such key");
  return key.privateKey;
};
const discordKeys = pairs.map(({ publicKey }) => {
  const { x = "" } = publicKey.export({ format: "jwk" });
  return Buffer.from(x, "base64url").toString("hex");
}) as unknown as readonly [string, string, string];
const ecPairs = [0, 1, 2].map(() => generateKeyPairSync("ec", { namedCurve: "prime256v1" }));
const sendgridKeys = ecPairs.map(({ publicKey }) =>
  publicKey.export({ format: "der", type: "spki" }).toString("base64"),
) as unknown as readonly [string, string, string];

const HOOK_URL = "https://hooks.example.com/webhooks/it";
const form = "MessageSid=SM1&MessageStatus=delivered&From=%2B14158675310&To=%2B18005551212&Body=a+b%26c&To=%2B1";
const bodyHashOf = (body: string): string => twilioLibrary.getExpectedBodyHash(body);

const cases: readonly Case[] = [
  {
    name: "BuzzBip",
    source: buzzbip(),
    secrets: plainSecrets,
    body: sampleBody,
    sign: (body, secret) => ({ "x-buzzbip-signature": opensslLike("sha256", secret, body, "hex") }),
    headers: ["x-buzzbip-signature"],
    malformed: ["v1=abc", "sha256="],
  },
  {
    name: "Stripe",
    source: stripe(),
    secrets: ["whsec_one", "whsec_two", "whsec_three"],
    body: json,
    sign: (payload, secret, at) => ({
      "stripe-signature": Stripe.webhooks.generateTestHeaderString({
        payload,
        secret,
        timestamp: Number(seconds(at)),
      }),
    }),
    headers: ["stripe-signature"],
    malformed: ["t=1780324320", "v1=abc", "t=soon,v1=00", `t=1,t=2,v1=${"0".repeat(64)}`, "t=1780324320,v1=xyz", "a"],
    toleranceSeconds: 300,
  },
  {
    name: "GitHub",
    source: github(),
    secrets: plainSecrets,
    body: json,
    sign: async (body, secret) => ({ "x-hub-signature-256": await signGitHub(secret, body) }),
    headers: ["x-hub-signature-256"],
    malformed: ["0".repeat(64), "sha1=00", "sha256=", `sha256=${"0".repeat(63)}`],
    // Its library refuses to sign with one.
    hasEmpty: false,
  },
  {
    name: "Shopify",
    source: shopify(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret) => ({ "x-shopify-hmac-sha256": opensslLike("sha256", secret, body, "base64") }),
    headers: ["x-shopify-hmac-sha256"],
    malformed: ["0".repeat(64), "abc", Buffer.alloc(31).toString("base64")],
  },
  {
    name: "Slack",
    source: slack(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret, at) => ({
      "x-slack-signature": `v0=${opensslLike("sha256", secret, `v0:${seconds(at)}:${body}`, "hex")}`,
      "x-slack-request-timestamp": seconds(at),
    }),
    headers: ["x-slack-signature", "x-slack-request-timestamp"],
    malformed: ["v1=00", "v0=", "0".repeat(64)],
    toleranceSeconds: 300,
  },
  {
    name: "Standard Webhooks",
    source: standardWebhooks(),
    secrets: [whsec(1), whsec(2), whsec(3)],
    body: json,
    sign: (body, secret, at) => ({
      "webhook-signature": new Webhook(secret).sign("msg_1", at, body),
      "webhook-id": "msg_1",
      "webhook-timestamp": seconds(at),
    }),
    headers: ["webhook-signature", "webhook-id", "webhook-timestamp"],
    malformed: ["v1", "v2,abc", "v1,abc", "v1a,abc", Array.from({ length: 17 }, () => "v1,abc").join(" ")],
    toleranceSeconds: 300,
    hasEmpty: false,
  },
  {
    name: "Standard Webhooks with ed25519",
    source: standardWebhooks(),
    secrets: publicKeys,
    body: json,
    sign: (body, secret, at) => ({
      "svix-signature": `v1a,${signBytes(null, Buffer.from(`m.${seconds(at)}.${body}`), privateKeyOf(secret)).toString("base64")}`,
      "svix-id": "m",
      "svix-timestamp": seconds(at),
    }),
    headers: ["svix-signature", "svix-id", "svix-timestamp"],
    malformed: ["v1a,abc"],
    toleranceSeconds: 300,
    hasEmpty: false,
  },
  {
    name: "Twilio with a form",
    source: twilio({ url: HOOK_URL }),
    secrets: plainSecrets,
    body: form,
    sign: (body, secret) => {
      const parameters: Record<string, string[]> = {};
      for (const [name, value] of new URLSearchParams(body)) (parameters[name] ??= []).push(value);
      return { "x-twilio-signature": twilioLibrary.getExpectedTwilioSignature(secret, HOOK_URL, parameters) };
    },
    headers: ["x-twilio-signature"],
    malformed: ["0".repeat(40), "abc"],
  },
  {
    name: "Twilio with JSON",
    source: twilio({ url: HOOK_URL }),
    secrets: plainSecrets,
    body: json,
    url: `/webhooks/it?foo=1&bodySHA256=${bodyHashOf(json)}`,
    sign: (_body, secret) => ({
      "x-twilio-signature": twilioLibrary.getExpectedTwilioSignature(
        secret,
        `${HOOK_URL}?foo=1&bodySHA256=${bodyHashOf(json)}`,
        {},
      ),
    }),
    headers: ["x-twilio-signature"],
    malformed: ["0".repeat(40), "abc"],
  },
  {
    name: "Meta",
    source: meta(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret) => ({ "x-hub-signature-256": `sha256=${opensslLike("sha256", secret, body, "hex")}` }),
    headers: ["x-hub-signature-256"],
    malformed: ["0".repeat(64), "sha1=00", "sha256=", `sha256=${"0".repeat(63)}`],
  },
  {
    name: "Trello",
    source: trello({ url: HOOK_URL }),
    secrets: plainSecrets,
    body: json,
    url: "/webhooks/it?board=1",
    sign: (body, secret) => ({
      "x-trello-webhook": opensslLike("sha1", secret, `${body}${HOOK_URL}?board=1`, "base64"),
    }),
    headers: ["x-trello-webhook"],
    malformed: ["0".repeat(40), "abc"],
  },
  {
    name: "Zoom",
    source: zoom(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret, at) => ({
      "x-zm-signature": `v0=${opensslLike("sha256", secret, `v0:${seconds(at)}:${body}`, "hex")}`,
      "x-zm-request-timestamp": seconds(at),
    }),
    headers: ["x-zm-signature", "x-zm-request-timestamp"],
    malformed: ["v1=00", "v0=", "0".repeat(64)],
    toleranceSeconds: 10_800,
  },
  {
    name: "Paddle",
    source: paddle(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret, at) => ({
      "paddle-signature": `ts=${seconds(at)};h1=${opensslLike("sha256", secret, `${seconds(at)}:${body}`, "hex")}`,
    }),
    headers: ["paddle-signature"],
    malformed: ["ts=1780324320", "h1=abc", "ts=soon;h1=00", `ts=1;ts=2;h1=${"0".repeat(64)}`, "ts=1780324320;h1=xyz"],
    toleranceSeconds: 300,
  },
  {
    name: "Linear",
    source: linear(),
    secrets: plainSecrets,
    body: JSON.stringify({ action: "create", type: "Issue", webhookTimestamp: NOW.getTime() }),
    sign: (body, secret) => ({ "linear-signature": opensslLike("sha256", secret, body, "hex") }),
    headers: ["linear-signature"],
    malformed: ["sha256=00", "0".repeat(63)],
    toleranceSeconds: 28_800,
  },
  {
    name: "Discord",
    source: discord(),
    secrets: discordKeys,
    body: json,
    sign: (body, secret, at) => ({
      "x-signature-ed25519": signBytes(null, Buffer.from(seconds(at) + body), privateKeyOf(secret)).toString("hex"),
      "x-signature-timestamp": seconds(at),
    }),
    headers: ["x-signature-ed25519", "x-signature-timestamp"],
    malformed: ["0".repeat(127), "g".repeat(128), "abc"],
    toleranceSeconds: 300,
    hasEmpty: false,
  },
  {
    name: "SendGrid",
    source: sendgrid({ toleranceSeconds: 600 }),
    secrets: sendgridKeys,
    body: json,
    sign: (body, secret, at) => ({
      "x-twilio-email-event-webhook-signature": signBytes(
        "sha256",
        Buffer.from(seconds(at) + body),
        privateKeyOf(secret),
      ).toString("base64"),
      "x-twilio-email-event-webhook-timestamp": seconds(at),
    }),
    headers: ["x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"],
    malformed: ["abc", "not base64", Buffer.alloc(70).toString("base64"), "M".repeat(100)],
    toleranceSeconds: 600,
    hasEmpty: false,
  },
  {
    name: "HubSpot",
    source: hubspot({ url: HOOK_URL }),
    secrets: plainSecrets,
    body: json,
    url: "/webhooks/it?to=a%40b%2Fc%20d",
    sign: (body, secret, at) => ({
      "x-hubspot-signature-v3": opensslLike(
        "sha256",
        secret,
        `POST${HOOK_URL}?to=a@b/c%20d${body}${at.getTime()}`,
        "base64",
      ),
      "x-hubspot-request-timestamp": String(at.getTime()),
    }),
    headers: ["x-hubspot-signature-v3", "x-hubspot-request-timestamp"],
    malformed: ["0".repeat(64), "abc"],
    toleranceSeconds: 300,
  },
  {
    name: "Square",
    source: square({ url: HOOK_URL }),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret) => ({
      "x-square-hmacsha256-signature": opensslLike("sha256", secret, HOOK_URL + body, "base64"),
    }),
    headers: ["x-square-hmacsha256-signature"],
    malformed: ["0".repeat(64), "abc"],
  },
  {
    name: "Zendesk",
    source: zendesk(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret, at) => ({
      "x-zendesk-webhook-signature": opensslLike("sha256", secret, at.toISOString() + body, "base64"),
      "x-zendesk-webhook-signature-timestamp": at.toISOString(),
    }),
    headers: ["x-zendesk-webhook-signature", "x-zendesk-webhook-signature-timestamp"],
    malformed: ["0".repeat(64), "abc"],
    toleranceSeconds: 300,
  },
  {
    name: "PagerDuty",
    source: pagerduty(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret) => ({
      "x-pagerduty-signature": `v1=${opensslLike("sha256", secret, body, "hex")}`,
    }),
    headers: ["x-pagerduty-signature"],
    malformed: ["0".repeat(64), "v2=00", "v1=", `v1=${"0".repeat(63)}`],
  },
  {
    name: "Intercom",
    source: intercom(),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret) => ({ "x-hub-signature": `sha1=${opensslLike("sha1", secret, body, "hex")}` }),
    headers: ["x-hub-signature"],
    malformed: ["0".repeat(40), "sha256=00", "sha1=", `sha1=${"0".repeat(39)}`],
  },
  {
    name: "HMAC by configuration",
    source: hmac({
      provider: "acme",
      header: "X-Acme-Signature",
      algorithm: "sha512",
      encoding: "base64",
      prefix: "v7 ",
      timestampHeader: "X-Acme-Time",
      toleranceSeconds: 60,
      content: "{timestamp}|{body}|acme",
    }),
    secrets: plainSecrets,
    body: json,
    sign: (body, secret, at) => ({
      "x-acme-signature": `v7 ${opensslLike("sha512", secret, `${seconds(at)}|${body}|acme`, "base64")}`,
      "x-acme-time": seconds(at),
    }),
    headers: ["x-acme-signature", "x-acme-time"],
    malformed: ["abc", "v7 abc", "v7 ", opensslLike("sha512", "a", "b", "base64")],
    toleranceSeconds: 60,
  },
];

const request = (headers: Record<string, string>, body: string, url = "/webhooks/it"): SignedRequest => ({
  ...requestOfBody(Buffer.from(body)),
  url,
  header: (name) => headers[name],
});

test("each provider that comes with Penstock, and no other, is in the list of their names", () => {
  const named = new Set([...cases.map(({ source }) => source), microsoftGraph()].map(({ provider }) => provider));
  named.delete("acme"); // an example of configuration
  expect([...named].toSorted()).toEqual([...PROVIDERS]);
});

describe.each(cases)("$name", (it) => {
  const { source, secrets, body } = it;
  const [secret] = secrets;
  const verify = (
    headers: Record<string, string>,
    { of = body, live = secrets, now = NOW }: { of?: string; live?: readonly string[]; now?: Date } = {},
  ): Verification => source.verify(request(headers, of, it.url), live, now.getTime());
  const later = (s: number): Date => new Date(NOW.getTime() + s * 1_000);

  test("what it signed is accepted", async () => {
    expect(verify(await it.sign(body, secret, NOW))).toMatchObject({ ok: true, secretIndex: 0 });
    expect(source.problems).toEqual([]);
  });

  test("what is made here to try things out is as its own, and refused once its time is over", () => {
    const { sign } = source;
    // A public key verifies and cannot sign.
    if (sign === null || secret.startsWith("whpk_")) return;
    const made = Object.entries(sign(Buffer.from(body), secret, NOW.getTime()));
    const headers = Object.fromEntries(made.map(([name, value]) => [name.toLowerCase(), value]));
    expect(verify(headers)).toMatchObject({ ok: true, secretIndex: 0 });
    if (source.signsTime)
      expect(verify(headers)).toMatchObject({ signedAt: expect.closeTo(NOW.getTime(), -4) as number });
    expect(verify(headers, { of: `${body} ` })).toMatchObject({ ok: false, reason: "mismatch" });
    expect(verify(headers, { now: later(3_600) }).ok).toBe(!source.signsTime);
  });

  test("every live secret is accepted while one is being rotated out, and it is said which one it was", async () => {
    for (const [secretIndex, live] of secrets.entries()) {
      const headers = await it.sign(body, live, NOW);
      expect(verify(headers)).toMatchObject({ ok: true, secretIndex });
      expect(verify(headers, { live: [...secrets.slice(0, secretIndex), live, live] })).toMatchObject({
        ok: true,
        secretIndex,
      });
      const others = secrets.filter((other) => other !== live);
      expect(verify(headers, { live: others })).toEqual({ ok: false, reason: "mismatch" });
    }
  });

  test("of several signatures in one header, or in one header sent twice, one right one will do", async () => {
    const [name = ""] = it.headers;
    const headers = await it.sign(body, secret, NOW);
    const [right = "", wrong = ""] = [headers[name], (await it.sign(`${body} `, secrets[1], NOW))[name]];
    // node:http joins headers of one name by ", ".
    const live = [secret];
    const lists = [`${wrong}, ${right}`, `${right}, ${wrong}`, `${wrong},${right}`, `${right}, ${right}`];
    for (const list of [...lists, `${`${wrong}, `.repeat(15)}${right}`]) {
      expect(verify({ ...headers, [name]: list }, { live })).toMatchObject({ ok: true, secretIndex: 0 });
    }
    expect(verify({ ...headers, [name]: `${wrong}, ${wrong}` }, { live })).toEqual({ ok: false, reason: "mismatch" });
    const tooMany = `${`${wrong}, `.repeat(16)}${right}`;
    expect(verify({ ...headers, [name]: tooMany }, { live })).toEqual({ ok: false, reason: "malformed-signature" });
  });

  test("no part of a signature is one, in whatever list it stands", async () => {
    const [name = ""] = it.headers;
    const headers = await it.sign(body, secret, NOW);
    const right = headers[name] ?? "";
    for (let at = 1; at < right.length; at++) {
      const [start, end] = [right.slice(0, at), right.slice(at)];
      if (!/[0-9A-Za-z]$/.test(start) || !/^[0-9A-Za-z]/.test(end)) continue;
      for (const between of [",", ", ", " ", ";"]) {
        const { ok } = verify({ ...headers, [name]: start + between + end });
        expect({ at, between, ok }).toEqual({ at, between, ok: false });
      }
    }
  });

  test("a request without one of its headers, or with an empty one, has no signature", async () => {
    const headers = await it.sign(body, secret, NOW);
    for (const name of it.headers) {
      const { [name]: _, ...others } = headers;
      expect(verify(others)).toEqual({ ok: false, reason: "missing-signature" });
      expect(verify({ ...headers, [name]: "" })).toEqual({ ok: false, reason: "missing-signature" });
    }
  });

  test.each(it.malformed)("%j is no signature", async (value) => {
    const headers = { ...(await it.sign(body, secret, NOW)), [it.headers[0] ?? ""]: value };
    expect(verify(headers)).toEqual({ ok: false, reason: "malformed-signature" });
  });

  test("a body in which any one byte is changed, added or missing is refused", async () => {
    const headers = await it.sign(body, secret, NOW);
    const refused = { ok: false, reason: "mismatch" };
    const bytes = Buffer.from(body);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(verify(headers, { of: changed.toString("latin1") })).toEqual(refused);
    }
    for (const of of [body.slice(0, -1), `${body} `, ""]) expect(verify(headers, { of })).toEqual(refused);
  });

  test("any one flipped bit of the signature is refused", async () => {
    const headers = await it.sign(body, secret, NOW);
    const [name = ""] = it.headers;
    const value = headers[name] ?? "";
    for (let at = 0; at < value.length; at++) {
      for (const bit of [1, 2, 4]) {
        const flipped = value.slice(0, at) + String.fromCharCode(value.charCodeAt(at) ^ bit) + value.slice(at + 1);
        const { ok } = verify({ ...headers, [name]: flipped });
        expect({ flipped, ok }).toEqual({ flipped, ok: false });
      }
    }
  });

  test("no secret and the empty secret, which everybody knows, never match", async () => {
    const headers = await it.sign(body, secret, NOW);
    expect(verify(headers, { live: [] })).toEqual({ ok: false, reason: "mismatch" });
    expect(verify(headers, { live: [""] })).toEqual({ ok: false, reason: "mismatch" });
    expect(verify(headers, { live: ["", secret] })).toMatchObject({ ok: true, secretIndex: 1 });
    if (it.hasEmpty === false) return;
    const forged = await it.sign(body, "", NOW);
    expect(verify(forged, { live: ["", ...secrets] })).toEqual({ ok: false, reason: "mismatch" });
  });

  test("a signed time is taken within the tolerance, before and after", async () => {
    const headers = await it.sign(body, secret, NOW);
    const { toleranceSeconds: limit } = it;
    if (limit === undefined) {
      expect(verify(headers, { now: later(400 * 86_400) }).ok).toBe(true);
      return;
    }
    for (const s of [limit, -limit]) expect(verify(headers, { now: later(s) }).ok).toBe(true);
    for (const s of [limit + 1, -limit - 1]) {
      const outside = { ok: false, reason: "timestamp-out-of-tolerance" };
      expect(verify(headers, { now: later(s) })).toEqual(outside);
      // Whether it is signed is what counts first.
      expect(verify(headers, { now: later(s), live: [secrets[1]] })).toEqual({ ok: false, reason: "mismatch" });
    }
  });
});

describe.each([
  ...cases,
  // Graph signs nothing: what vouches for a notification stands in it, and packages/sources/src/microsoft-graph.test.ts says how.
  { name: "Microsoft Graph", source: microsoftGraph(), secrets: plainSecrets },
])("$name", ({ source, secrets }) => {
  test("no request makes it throw, whatever its headers, body and URL are", () => {
    const odd = ["", " ", "=", ",", "t=,v1=", "v0=", "\0", "ü", "%", "a".repeat(100_000), "?hub.mode=subscribe&a=%"];
    const bodies = [
      "",
      "{",
      "null",
      "[]",
      "{}",
      '"a"',
      "a=%zz&=",
      "payload=",
      "payload=%7B",
      "\0",
      '{"entry":{}}',
      '{"entry":[null,{"changes":[1,{}],"messaging":[[]]}]}',
      '{"value":[1,{}]}',
      "[null,[],1]",
    ];
    for (const value of odd) {
      for (const of of bodies) {
        const anything = { ...request({}, of, value), header: () => value };
        expect(source.verify(anything, secrets, NOW.getTime()).ok).toBe(false);
        const stored = { body: Buffer.from(of), eventId: "1", type: `${source.provider}.x`, createdAt: null };
        expect(source.check(stored)).toHaveProperty("ok");
        for (const [method, verified] of [["GET"], ["HEAD"], ["POST", true], ["POST"]] as const) {
          const asked = { ...anything, method, verified: verified ?? false };
          source.handshake?.(asked, { signing: secrets, verifyTokens: ["a token"] });
        }
        const parts = source.split?.(anything) ?? [anything.body];
        expect(parts).not.toHaveLength(0);
        for (const body of parts) expect(source.identify({ ...anything, body })).toHaveProperty("problem");
      }
    }
  });
});

describe("providers whose library verifies and does not sign accept what is signed here", () => {
  const signed = (name: string): Case => cases.find((it) => it.name === name)!;

  test("Slack's", async () => {
    const it = signed("Slack");
    const headers = await it.sign(json, plainSecrets[0], NOW);
    const request = {
      signingSecret: plainSecrets[0],
      body: json,
      headers: {
        "x-slack-signature": headers["x-slack-signature"] ?? "",
        "x-slack-request-timestamp": Number(headers["x-slack-request-timestamp"]),
      },
      nowMilliseconds: NOW.getTime(),
    };
    expect(isValidSlackRequest(request)).toBe(true);
    expect(isValidSlackRequest({ ...request, body: `${json} ` })).toBe(false);
  });

  test("Shopify's", async () => {
    const library = shopifyApi({
      apiKey: "key",
      apiSecretKey: plainSecrets[0],
      hostName: "hooks.example.com",
      apiVersion: Object.values(ApiVersion)[0]!,
      isEmbeddedApp: false,
      logger: { log: () => undefined },
    });
    const headers = {
      ...(await signed("Shopify").sign(json, plainSecrets[0], NOW)),
      "x-shopify-topic": "orders/create",
      "x-shopify-api-version": "2026-01",
      "x-shopify-shop-domain": "a.myshopify.com",
      "x-shopify-webhook-id": "w",
    };
    const validate = (rawBody: string) =>
      library.webhooks.validate({ rawBody, rawRequest: { headers, method: "POST", url: "/" } as never });
    expect(await validate(json)).toMatchObject({ valid: true });
    expect(await validate(`${json} `)).toMatchObject({ valid: false });
  });

  test("Paddle's", async () => {
    // It judges the time by its own clock, within five seconds.
    const { "paddle-signature": signature = "" } = await signed("Paddle").sign(json, plainSecrets[0], new Date());
    const { webhooks } = new Paddle("key");
    expect(await webhooks.isSignatureValid(json, plainSecrets[0], signature)).toBe(true);
    expect(await webhooks.isSignatureValid(`${json} `, plainSecrets[0], signature)).toBe(false);
  });

  test("Discord's", async () => {
    const headers = await signed("Discord").sign(json, discordKeys[0], NOW);
    const isRight = (body: string) =>
      verifyKey(body, headers["x-signature-ed25519"] ?? "", headers["x-signature-timestamp"] ?? "", discordKeys[0]);
    expect(await isRight(json)).toBe(true);
    expect(await isRight(`${json} `)).toBe(false);
  });

  test("SendGrid's", async () => {
    const headers = await signed("SendGrid").sign(json, sendgridKeys[0], NOW);
    const library = new EventWebhook();
    const key = library.convertPublicKeyToECDSA(sendgridKeys[0]);
    const isRight = (body: string): boolean =>
      library.verifySignature(
        key,
        body,
        headers["x-twilio-email-event-webhook-signature"] ?? "",
        headers["x-twilio-email-event-webhook-timestamp"] ?? "",
      );
    expect(isRight(json)).toBe(true);
    expect(isRight(`${json} `)).toBe(false);
  });
});
