import { describe, expect, test } from "vitest";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import twilioLibrary from "twilio";
import { type Handshake, requestOfBody, type SignedRequest, type Source } from "./define-source.ts";
import { github } from "./github.ts";
import { hmac, type HmacOptions } from "./hmac.ts";
import { shopify } from "./shopify.ts";
import { slack } from "./slack.ts";
import { standardWebhooks } from "./standard-webhooks.ts";
import { stripe } from "./stripe.ts";
import { twilio } from "./twilio.ts";

function request(body: string | object, headers: Record<string, string> = {}, url = "/webhooks/it"): SignedRequest {
  const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return { ...requestOfBody(bytes), url, header: (name) => headers[name] };
}

const matched = { ok: true, secretIndex: 0 };
const mismatch = { ok: false, reason: "mismatch" };

describe("vectors that providers have documented", () => {
  interface Vector {
    readonly name: string;
    readonly source: Source;
    readonly secret: string;
    readonly request: SignedRequest;
    readonly at?: number;
  }
  const slackBody =
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
  const twilioForm =
    "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
  const vectors: readonly Vector[] = [
    {
      name: "GitHub",
      source: github(),
      secret: "It's a Secret to Everybody",
      request: request("Hello, World!", {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
      }),
    },
    {
      name: "Slack",
      source: slack(),
      secret: "8f742231b10e8888abcd99yyyzzz85a5",
      request: request(slackBody, {
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "x-slack-request-timestamp": "1531420618",
      }),
      at: 1_531_420_618,
    },
    {
      name: "Standard Webhooks",
      source: standardWebhooks(),
      secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      request: request('{"test": 2432232314}', {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
      }),
      at: 1_614_265_330,
    },
    {
      name: "Twilio",
      source: twilio({ url: "https://mycompany.com/myapp.php" }),
      secret: "12345",
      request: request(twilioForm, { "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=" }, "/myapp.php?foo=1&bar=2"),
    },
  ];

  test.each(vectors)(
    "$name's is accepted, and not with another secret or body",
    ({ source, secret, request, at = 0 }) => {
      const secrets = [secret];
      expect(source.verify(request, secrets, at * 1_000)).toEqual(matched);
      expect(source.verify(request, [secret.replace(/.$/, "A")], at * 1_000)).toEqual(mismatch);
      const body = Buffer.concat([request.body, Buffer.from("&a=b")]);
      expect(source.verify({ ...request, body }, secrets, at * 1_000)).toEqual(mismatch);
    },
  );
});

describe("Stripe", () => {
  const event = {
    id: "evt_1",
    object: "event",
    type: "charge.succeeded",
    created: 1_780_324_320,
    data: { object: { id: "ch_1", customer: "cus_1" } },
  };

  test("an event is named by its body, and its data is all of it", () => {
    expect(stripe().identify(request(event))).toEqual({
      id: "evt_1",
      type: "stripe.charge.succeeded",
      createdAt: new Date("2026-06-01T14:32:00Z"),
      subjects: ["cus_1", "ch_1"],
      timeUnread: false,
      problem: null,
    });
    const stored = { eventId: "evt_1", type: "stripe.charge.succeeded", createdAt: null };
    expect(stripe().check({ body: request(event).body, ...stored })).toMatchObject({
      ok: true,
      event: { data: event },
    });
  });

  test("while a secret is rolled, one right signature of several will do, and others are passed over", () => {
    const payload = JSON.stringify(event);
    const sign = (secret: string): string =>
      Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: 1_780_324_320 });
    const [time, one] = sign("whsec_old").split(",");
    const two = sign("whsec_new").split(",")[1];
    const signed = request(payload, { "stripe-signature": `${time},v0=${"0".repeat(64)},v1=zz,${one},${two}` });
    const now = 1_780_324_320_000;
    expect(stripe().verify(signed, ["whsec_new"], now)).toEqual(matched);
    expect(stripe().verify(signed, ["whsec_old"], now)).toEqual(matched);
    expect(stripe().verify(signed, ["whsec_none"], now)).toEqual(mismatch);
  });

  test("the tolerance can be set, and 0 takes any time", () => {
    const payload = JSON.stringify(event);
    const secret = "whsec_one";
    const header = Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: 1_000 });
    const verify = (toleranceSeconds: number, at: number): boolean =>
      stripe({ toleranceSeconds }).verify(request(payload, { "stripe-signature": header }), [secret], at * 1_000).ok;
    expect([verify(10, 1_010), verify(10, 1_011), verify(0, 9_999_999)]).toEqual([true, false, true]);
    expect(stripe({ toleranceSeconds: -1 }).problems).toEqual([expect.stringContaining("`toleranceSeconds` must be")]);
  });
});

test("GitHub's id and type stand in headers, and its payload may come as a form", () => {
  const payload = { ref: "refs/heads/main", repository: { full_name: "a/b" }, organization: { login: "a" } };
  const headers = { "x-github-delivery": "72d3162e", "x-github-event": "push" };
  const identity = {
    id: "72d3162e",
    type: "github.push",
    createdAt: null,
    timeUnread: false,
    subjects: ["a/b", "a"],
    problem: null,
  };
  const form = `payload=${encodeURIComponent(JSON.stringify(payload))}`;
  for (const body of [JSON.stringify(payload), form]) {
    expect(github().identify(request(body, headers))).toEqual(identity);
    const stored = { eventId: "72d3162e", type: "github.push", createdAt: null };
    expect(github().check({ body: Buffer.from(body), ...stored })).toEqual({
      ok: true,
      event: { id: "72d3162e", type: "github.push", createdAt: null, data: payload },
    });
  }
  expect(github().identify(request(payload))).toMatchObject({ id: null, type: null, problem: "no-envelope" });
});

test("Shopify's id, topic and time stand in headers", () => {
  const headers = {
    "x-shopify-webhook-id": "b54557e4",
    "x-shopify-topic": "orders/create",
    "x-shopify-triggered-at": "2026-06-01T14:32:00.123456789Z",
    "x-shopify-shop-domain": "a.myshopify.com",
  };
  expect(shopify().identify(request({ admin_graphql_api_id: "gid://shopify/Order/1" }, headers))).toEqual({
    id: "b54557e4",
    type: "shopify.orders/create",
    createdAt: new Date("2026-06-01T14:32:00.123Z"),
    subjects: ["gid://shopify/Order/1", "a.myshopify.com"],
    timeUnread: false,
    problem: null,
  });
});

describe("Slack", () => {
  const event = { type: "app_mention", channel: "C1", user: "U1" };
  const body = { type: "event_callback", event_id: "Ev1", event_time: 1_780_324_320, event };

  test("an event has the type of the inner one", () => {
    expect(slack().identify(request(body))).toEqual({
      id: "Ev1",
      type: "slack.app_mention",
      createdAt: new Date("2026-06-01T14:32:00Z"),
      subjects: ["C1", "U1"],
      timeUnread: false,
      problem: null,
    });
  });

  test("url_verification is answered with its challenge, and nothing else is answered", () => {
    const answer = (sent: object | string, verified = true): Handshake =>
      slack().handshake!({ ...request(sent), method: "POST", verified }, { signing: [], verifyTokens: [] });
    const asked = { type: "url_verification", challenge: "3eZb" };
    expect(answer(asked)).toEqual({ contentType: "text/plain", body: "3eZb" });
    expect(answer(asked, false)).toBeNull();
    for (const other of [body, { type: "url_verification" }, { challenge: "3eZb" }, "not json", "[]"]) {
      expect(answer(other)).toBeNull();
    }
  });
});

describe("Standard Webhooks", () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const at = new Date("2026-06-01T14:32:00Z");
  const body = JSON.stringify({ type: "user.created", timestamp: "2026-06-01T14:31:00Z", data: {} });
  const headers = (brand: string, signature: string): Record<string, string> => ({
    [`${brand}-id`]: "msg_1",
    [`${brand}-timestamp`]: "1780324320",
    [`${brand}-signature`]: signature,
  });

  test("the id stands in a header, and the provider's name can be set", () => {
    const source = standardWebhooks({ provider: "acme" });
    expect(source.identify(request(body, headers("webhook", "")))).toEqual({
      id: "msg_1",
      type: "acme.user.created",
      createdAt: new Date("2026-06-01T14:31:00Z"),
      subjects: [],
      timeUnread: false,
      problem: null,
    });
    expect(standardWebhooks({ provider: "A" }).problems).toHaveLength(1);
  });

  test.each([
    ["several signatures", (right: string) => `v1,AAAA v2,${right} v1,${Buffer.alloc(32).toString("base64")} ${right}`],
    ["several headers", (right: string) => `v1,${Buffer.alloc(32).toString("base64")}, ${right}`],
  ])("of %s one right one will do, under either brand", (_, of) => {
    const signature = of(new Webhook(secret).sign("msg_1", at, body));
    for (const brand of ["webhook", "svix"]) {
      const verification = standardWebhooks().verify(request(body, headers(brand, signature)), [secret], at.getTime());
      expect(verification).toEqual(matched);
    }
  });

  test.each([
    [secret, true],
    [secret.slice("whsec_".length), true],
    [`whpk_${Buffer.alloc(32, 1).toString("base64")}`, true],
    ["whsec_", false],
    ["whsec_not base64", false],
    ["whsk_AAAA", false],
    ["whpk_AAAA", false],
  ])("the secret %s is of the right form: %s", (given, ok) => {
    expect(standardWebhooks().checkSecret(given) === null).toBe(ok);
  });
});

describe("Twilio", () => {
  const secret = "12345";
  const sms = "MessageSid=SM1&SmsStatus=received&From=%2B1&To=%2B2&Body=hi";

  test.each([
    ["an incoming message", sms, {}, "SM1", "twilio.message"],
    [
      "a status",
      "MessageSid=SM1&MessageStatus=delivered&From=%2B1&To=%2B2",
      {},
      "SM1.delivered",
      "twilio.message.delivered",
    ],
    ["a call", "CallSid=CA1&CallStatus=ringing&From=%2B1&To=%2B2", {}, "CA1.ringing", "twilio.call.ringing"],
    ["what has a token", sms, { "i-twilio-idempotency-token": "token" }, "token", "twilio.message"],
  ])("%s gets an id and a type", (_, body, headers, id, type) => {
    const identity = twilio().identify(request(body, headers));
    expect(identity).toMatchObject({ id, type, problem: null });
    expect(identity.subjects.slice(0, 2)).toEqual(["+1", "+2"]);
  });

  test("what has neither is an event with the hash of its body for an id, JSON included", () => {
    const identity = twilio().identify(request([{ id: "a" }]));
    expect(identity).toMatchObject({
      id: expect.stringMatching(/^sha256-[0-9a-f]{64}$/) as string,
      type: "twilio.event",
    });
    const stored = { eventId: "1", type: "twilio.event", createdAt: null };
    expect(twilio().check({ body: Buffer.from('[{"a":1}]'), ...stored })).toMatchObject({
      event: { data: [{ a: 1 }] },
    });
    expect(twilio().check({ body: Buffer.from(sms), ...stored })).toMatchObject({ event: { data: { Body: "hi" } } });
  });

  test.each([
    ["https://a.example/webhooks/it", undefined],
    ["https://a.example:443/webhooks/it", undefined],
    ["https://a.example:8443/webhooks/it", "https://a.example:8443/webhooks/it"],
    ["https://a.example/behind/webhooks/it", "https://a.example/behind/webhooks/it"],
  ])("a signature over %s is right where the URL is %s", (signedUrl, url) => {
    const signature = twilioLibrary.getExpectedTwilioSignature(secret, `${signedUrl}?a=%27b'`, { Body: "hi" });
    const headers = { "x-twilio-signature": signature, host: "a.example" };
    const source = twilio(url === undefined ? {} : { url });
    expect(source.verify(request("Body=hi", headers, "/webhooks/it?a=%27b'"), [secret], 0)).toEqual(matched);
    expect(source.verify(request("Body=hi", headers, "/webhooks/it?a=b"), [secret], 0)).toEqual(mismatch);
  });

  test.each(["hooks.example.com", "https://a/b?c=d", "ftp://a", 7])("%j is no URL of it", (url) => {
    expect(twilio({ url: url as string }).problems).toHaveLength(1);
  });
});

describe("HMAC by configuration", () => {
  const plain: HmacOptions = { provider: "acme", header: "X-Signature" };

  test("id, type and time are found where they are said to be", () => {
    const source = hmac({
      ...plain,
      id: { header: "X-Id" },
      type: { field: "event.name" },
      createdAt: { field: "event.at" },
    });
    const body = { event: { name: "order.paid", at: 1_780_324_320 } };
    expect(source.identify(request(body, { "x-id": "1" }))).toMatchObject({
      id: "1",
      type: "acme.order.paid",
      createdAt: new Date("2026-06-01T14:32:00Z"),
      timeUnread: false,
      problem: null,
    });
    expect(source.identify(request({}))).toMatchObject({ id: null, type: null, problem: "no-envelope" });
  });

  test("without id and type an event is known by its body", () => {
    const [one, same, other] = [{}, {}, { a: 1 }].map((body) => hmac(plain).identify(request(body)));
    expect(one).toMatchObject({ type: "acme.event", problem: null });
    expect(same?.id).toBe(one?.id);
    expect(other?.id).not.toBe(one?.id);
    expect(hmac(plain).identify(request({ id: 7, type: "paid" }))).toMatchObject({ id: "7", type: "acme.paid" });
  });

  test.each<[string, object]>([
    ["provider", { provider: "Acme" }],
    ["header", { header: "a b" }],
    ["algorithm", { algorithm: "md5" }],
    ["algorithm", { algorithm: "constructor" }],
    ["encoding", { encoding: "base32" }],
    ["prefix", { prefix: 7 }],
    ["timestampHeader", { timestampHeader: "" }],
    ["toleranceSeconds", { toleranceSeconds: "5" }],
    ["content", { content: "{timestamp}.{body}" }],
    ["content", { content: "body" }],
    ["id", { id: "id" }],
    ["type", { type: { field: "" } }],
    ["createdAt", { createdAt: { header: "a", field: "b" } }],
    ["unknown", { unknown: "PRIVATE" }],
  ])("a wrong `%s` is told by its name (case %#)", (name, wrong) => {
    const { problems } = hmac({ ...plain, ...wrong } as HmacOptions);
    expect(problems).toEqual([expect.stringContaining(`\`${name}\``)]);
  });
});
