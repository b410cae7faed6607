import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { buzzbip } from "./buzzbip.ts";
import type { Source } from "./define-source.ts";
import { defineSource } from "./define-source.ts";
import { explainVerification, type SavedRequest, type SourceWithSecrets } from "./explain.ts";
import { github } from "./github.ts";
import { hmac } from "./hmac.ts";
import { shopify } from "./shopify.ts";
import { slack } from "./slack.ts";
import { stripe } from "./stripe.ts";
import { twilio } from "./twilio.ts";

const SECRET = "whsec_0123456789abcdef";
const NOW = 1_780_324_320_000;
const body = '{"id":"evt_1","text":"é / <b>","list":[1,{"b":{},"a":[]}]}';
const sign = (text: string, encoding: "hex" | "base64" = "hex", secret = SECRET): string =>
  createHmac("sha256", secret).update(text).digest(encoding);
const named = (name: string, source: Source, ...secrets: string[]): SourceWithSecrets => ({
  name,
  source,
  secretsFrom: `${name.toUpperCase()}_SIGNING_SECRETS`,
  verifyTokensFrom: null,
  apiKeyFrom: null,
  secrets,
});
const hub = named("github", github(), "another_secret", SECRET);
const saved = (text: string, headers: Record<string, string>, url = "/webhooks/it"): SavedRequest => ({
  url,
  headers: new Map(Object.entries(headers)),
  body: Buffer.from(text),
});
const fromGitHub = (text: string, signature: string): SavedRequest => saved(text, { "x-hub-signature-256": signature });

test("which secret fits is told by its place", () => {
  expect(explainVerification(hub, fromGitHub(body, `sha256=${sign(body)}`), NOW)).toEqual({
    ok: true,
    reason: null,
    secret: 2,
    findings: ["it is signed with secret 2 of 2 in GITHUB_SIGNING_SECRETS"],
  });
});

const python = '{"id": "evt_1", "text": "\\u00e9 / <b>", "list": [1, {"b": {}, "a": []}]}';
const php = '{"id":"evt_1","text":"\\u00e9 \\/ <b>","list":[1,{"b":{},"a":[]}]}';
const indented = JSON.stringify(JSON.parse(body), null, 2);

test.each<[string, SavedRequest, RegExp]>([
  ["a header that is missing", saved(body, { "x-other": "a" }), /header x-hub-signature-256 is missing.*x-other/],
  [
    "a newline that was added",
    fromGitHub(`${body}\n`, `sha256=${sign(body)}`),
    /changed.*without a newline at its end/,
  ],
  [
    "a body that was encoded, whose signature is right",
    saved(body, { "x-hub-signature-256": `sha256=${sign(body)}`, "content-encoding": "gzip" }),
    /^Content-Encoding is gzip/,
  ],
  ["a newline that was cut off", fromGitHub(body, `sha256=${sign(`${body}\n`)}`), /changed.*with a newline at its end/],
  [
    "JSON of Python that was serialised again",
    fromGitHub(body, `sha256=${sign(python)}`),
    /serialised again.*Python.*ASCII/,
  ],
  [
    "JSON of PHP that was serialised again",
    fromGitHub(body, `sha256=${sign(php)}`),
    /serialised again.*slashes escaped/,
  ],
  ["JSON that was indented", fromGitHub(body, `sha256=${sign(indented)}`), /serialised again: indented by two/],
  ["JSON that is now indented", fromGitHub(indented, `sha256=${sign(body)}`), /serialised again: without blanks/],
  [
    "base64 for hex",
    fromGitHub(body, `sha256=${sign(body, "base64")}`),
    /would be right with the prefix `sha256=` in hex/,
  ],
  ["no prefix", fromGitHub(body, sign(body)), /would be right with the prefix `sha256=`/],
  [
    "a body of another encoding",
    fromGitHub(
      "caf\u00e9",
      `sha256=${createHmac("sha256", SECRET).update(Buffer.from("caf\u00e9", "latin1")).digest("hex")}`,
    ),
    /changed.*Latin-1/,
  ],
  [
    "what fits nothing",
    fromGitHub(body, `sha256=${sign("something else")}`),
    /no secret in GITHUB_SIGNING_SECRETS makes.*2 tried/,
  ],
  ["what is no signature", fromGitHub(body, "sha256=abc"), /x-hub-signature-256 has not the form that github sends/],
])("%s is found out", (_, request, finding) => {
  const explanation = explainVerification(hub, request, NOW);
  expect(explanation).toMatchObject({ ok: false, secret: null });
  expect(explanation.findings.join("; ")).toMatch(finding);
  expect(explanation.findings.join()).not.toContain(SECRET);
});

test("hex where base64 is expected is found out", () => {
  const request = saved(body, { "x-shopify-hmac-sha256": sign(body) });
  const { findings } = explainVerification(named("shopify", shopify(), SECRET), request, NOW);
  expect(findings[0]).toMatch(/x-shopify-hmac-sha256 would be right without a prefix in base64/);
});

test.each([
  ["without quotes", `"${SECRET}"`],
  ["with `whsec_` in front", SECRET.slice(6)],
  ["decoded from base64", Buffer.from(SECRET).toString("base64")],
])("a secret that is right %s is found out", (how, wrong) => {
  const request = saved(body, { "x-buzzbip-signature": sign(body) });
  const { findings } = explainVerification(named("buzzbip", buzzbip(), wrong), request, NOW);
  expect(findings).toEqual([expect.stringContaining(`secret 1 would be right ${how}`)]);
});

test("a request for another source is told, and so is the secret of another one", () => {
  const others = [named("hub", github(), SECRET), named("shop", stripe(), "secret_of_shop")];
  const buzz = named("buzzbip", buzzbip(), "another_secret");
  const wrongUrl = explainVerification(buzz, fromGitHub(body, `sha256=${sign(body)}`), NOW, others);
  expect(wrongUrl.findings).toContain("it is right for source hub: it was sent to the wrong URL");
  const request = saved(body, { "x-buzzbip-signature": sign(body, "hex", "secret_of_shop") });
  expect(explainVerification(buzz, request, NOW, others).findings).toEqual([
    "it is signed with secret 1 of source shop (SHOP_SIGNING_SECRETS)",
  ]);
});

test("a signed time that is too old is told with the secret that fits, also where something else is wrong", () => {
  const seconds = NOW / 1_000 - 10_000;
  const pay = named("stripe", stripe(), "another_secret", SECRET);
  const header = { "stripe-signature": `t=${seconds},v1=${sign(`${seconds}.${body}`)}` };
  expect(explainVerification(pay, saved(body, header), NOW)).toMatchObject({
    ok: false,
    reason: "timestamp-out-of-tolerance",
    secret: 2,
    findings: [
      expect.stringMatching(/right, but was made at 2026-06-01T11:45:20.000Z and is judged at 2026-06-01T14:32/),
    ],
  });
  expect(explainVerification(pay, saved(body, header), seconds * 1_000).ok).toBe(true);
  expect(explainVerification(pay, saved(`${body}\n`, header), NOW).findings[0]).toMatch(/without a newline/);
});

test.each([
  ["in milliseconds", (at: number) => String(at)],
  ["in ISO 8601", (at: number) => new Date(at).toISOString()],
])("a signed time %s that is too old is told as the time that it is", (_, write) => {
  const source = hmac({ provider: "acme", header: "X-Signature", timestampHeader: "X-Sent-Time" });
  const time = write(NOW - 10_000_000);
  const request = saved(body, { "x-signature": sign(`${time}.${body}`), "x-sent-time": time });
  const acme = named("acme", source, "another_secret", SECRET);
  expect(explainVerification(acme, request, NOW)).toMatchObject({
    reason: "timestamp-out-of-tolerance",
    secret: 2,
    findings: [expect.stringMatching(/right, but was made at 2026-06-01T11:45:20.000Z and is judged/)],
  });
});

test.each([
  [
    "a time that cannot be read",
    named("acme", hmac({ provider: "acme", header: "X-Signature", timestampHeader: "X-Time" }), SECRET),
    saved(body, { "x-signature": sign(body), "x-time": "2026-06-01 14:32" }),
    "the time in x-time cannot be read: it has to be a number, or a time with its zone",
  ],
  [
    "a time in a form that the provider does not send",
    named("slack", slack(), SECRET),
    saved(body, { "x-slack-signature": `v0=${sign(body)}`, "x-slack-request-timestamp": "1780324320123" }),
    "the time in x-slack-request-timestamp has not the form that slack sends: seconds since 1970",
  ],
  [
    "more signatures than are looked at",
    hub,
    fromGitHub(body, Array.from({ length: 17 }, () => `sha256=${sign(body)}`).join(", ")),
    "x-hub-signature-256 holds 17 signatures: more than 16 are not looked at",
  ],
  [
    "a header of an older family that would be right",
    named("shopify", shopify(), SECRET),
    saved(body, {
      "shopify-hmac-sha256": sign("another", "base64"),
      "x-shopify-hmac-sha256": sign(body, "base64"),
    }),
    "the signature in shopify-hmac-sha256 counts and is wrong; the one in another header, made with secret 1, would be right",
  ],
])("%s is found out and told first", (_, source, request, finding) => {
  const explanation = explainVerification(source, request, NOW);
  expect(explanation).toMatchObject({ ok: false, secret: null });
  expect(explanation.findings[0]).toBe(finding);
});

test("secrets that were joined by commas are told to go one per line, and are not shown", () => {
  const joined = named("github", github(), `another_secret, ${SECRET}`);
  const { ok, findings } = explainVerification(joined, fromGitHub(body, `sha256=${sign(body)}`), NOW);
  expect({ ok, findings }).toEqual({
    ok: false,
    findings: [
      'secret 1 holds a comma, and one of its parts would be right: several secrets go one per line, or as a JSON list (["new","old"])',
    ],
  });
});

test("a URL that a proxy has changed is found out", () => {
  const url = "https://hooks.example.com/webhooks/it";
  const signature = createHmac("sha1", SECRET).update(`${url}?a=1Bodyhi`).digest("base64");
  const headers = { "x-twilio-signature": signature, host: "10.0.0.1:8080", "x-forwarded-host": "hooks.example.com" };
  const { findings } = explainVerification(
    named("sms", twilio(), SECRET),
    saved("Body=hi", headers, "/webhooks/it?a=1"),
    NOW,
  );
  expect(findings[0]).toMatch(/another URL: with the host of X-Forwarded-Host/);
});

test("code that throws is told as such", () => {
  const verify = (): never => {
    throw new Error("a mistake");
  };
  const broken = defineSource({ provider: "acme", verify, identify: () => ({ id: "1", type: "a" }) });
  expect(explainVerification(named("acme", broken, SECRET), saved(body, {}), NOW)).toMatchObject({
    reason: "verify-failed",
    findings: [expect.stringContaining("the code of acme threw")],
  });
});
