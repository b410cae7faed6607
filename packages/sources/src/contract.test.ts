import { createHmac, generateKeyPairSync, type KeyObject, sign as signEd25519 } from "node:crypto";
import { sign as signGitHub } from "@octokit/webhooks-methods";
import { isValidSlackRequest } from "@slack/bolt";
import { ApiVersion, shopifyApi } from "@shopify/shopify-api";
import "@shopify/shopify-api/adapters/node";
import { sampleBody } from "@penstock/schemas/fixtures";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { describe, expect, test } from "vitest";
import twilioLibrary from "twilio";
import { buzzbip } from "./buzzbip.ts";
import { requestOfBody, type SignedRequest, type Source, type Verification } from "./define-source.ts";
import { github } from "./github.ts";
import { hmac } from "./hmac.ts";
import { shopify } from "./shopify.ts";
import { slack } from "./slack.ts";
import { standardWebhooks } from "./standard-webhooks.ts";
import { stripe } from "./stripe.ts";
import { twilio } from "./twilio.ts";

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
  const pair = pairs[publicKeys.indexOf(secret)];
  if (pair === undefined) throw new Error("no such key");
  return pair.privateKey;
};

const TWILIO_URL = "https://hooks.example.com/webhooks/it";
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
      "svix-signature": `v1a,${signEd25519(null, Buffer.from(`m.${seconds(at)}.${body}`), privateKeyOf(secret)).toString("base64")}`,
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
    source: twilio({ url: TWILIO_URL }),
    secrets: plainSecrets,
    body: form,
    sign: (body, secret) => {
      const parameters: Record<string, string[]> = {};
      for (const [name, value] of new URLSearchParams(body)) (parameters[name] ??= []).push(value);
      return { "x-twilio-signature": twilioLibrary.getExpectedTwilioSignature(secret, TWILIO_URL, parameters) };
    },
    headers: ["x-twilio-signature"],
    malformed: ["0".repeat(40), "abc"],
  },
  {
    name: "Twilio with JSON",
    source: twilio({ url: TWILIO_URL }),
    secrets: plainSecrets,
    body: json,
    url: `/webhooks/it?foo=1&bodySHA256=${bodyHashOf(json)}`,
    sign: (_body, secret) => ({
      "x-twilio-signature": twilioLibrary.getExpectedTwilioSignature(
        secret,
        `${TWILIO_URL}?foo=1&bodySHA256=${bodyHashOf(json)}`,
        {},
      ),
    }),
    headers: ["x-twilio-signature"],
    malformed: ["0".repeat(40), "abc"],
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

describe.each(cases)("$name", (it) => {
  const { source, secrets, body } = it;
  const [secret] = secrets;
  const verify = (
    headers: Record<string, string>,
    { of = body, live = secrets, now = NOW }: { of?: string; live?: readonly string[]; now?: Date } = {},
  ): Verification => source.verify(request(headers, of, it.url), live, now.getTime());
  const later = (s: number): Date => new Date(NOW.getTime() + s * 1_000);

  test("what it signed is accepted", async () => {
    expect(verify(await it.sign(body, secret, NOW))).toEqual({ ok: true, secretIndex: 0 });
    expect(source.problems).toEqual([]);
  });

  test("every live secret is accepted while one is being rotated out, and it is said which one it was", async () => {
    for (const [secretIndex, live] of secrets.entries()) {
      const headers = await it.sign(body, live, NOW);
      expect(verify(headers)).toEqual({ ok: true, secretIndex });
      expect(verify(headers, { live: [...secrets.slice(0, secretIndex), live, live] })).toEqual({
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
      expect(verify({ ...headers, [name]: list }, { live })).toEqual({ ok: true, secretIndex: 0 });
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
    expect(verify(headers, { live: ["", secret] })).toEqual({ ok: true, secretIndex: 1 });
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

  test("no request makes it throw, whatever its headers, body and URL are", () => {
    const odd = ["", " ", "=", ",", "t=,v1=", "v0=", "\0", "ü", "%", "a".repeat(100_000)];
    const bodies = ["", "{", "null", "[]", "{}", '"a"', "a=%zz&=", "payload=", "payload=%7B", "\0"];
    for (const value of odd) {
      for (const of of bodies) {
        const anything = { ...request({}, of, value), header: () => value };
        expect(source.verify(anything, secrets, NOW.getTime()).ok).toBe(false);
        expect(source.identify(anything)).toHaveProperty("problem");
        const stored = { body: Buffer.from(of), eventId: "1", type: `${source.provider}.x`, createdAt: null };
        expect(source.check(stored)).toHaveProperty("ok");
        for (const method of ["GET", "HEAD", "POST"] as const) {
          source.handshake?.({ ...anything, method, verified: false }, { signing: secrets, verifyTokens: ["a token"] });
        }
        expect(source.split?.(anything) ?? [anything.body]).not.toHaveLength(0);
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
});
