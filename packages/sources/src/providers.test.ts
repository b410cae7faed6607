import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import twilioLibrary from "twilio";
import { buzzbip } from "./buzzbip.ts";
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

const matched = expect.objectContaining({ ok: true, secretIndex: 0 }) as unknown;
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

  test("an event of the second API has its time as text, and is about its related object", () => {
    const thin = {
      id: "evt_thin",
      object: "v2.core.event",
      type: "v1.billing.meter.error_report_triggered",
      created: "2026-10-04T15:13:32.232083866Z",
      related_object: { id: "mtr_1", type: "billing.meter", url: "/v1/billing/meters/mtr_1" },
    };
    expect(stripe().identify(request(thin))).toEqual({
      id: "evt_thin",
      type: "stripe.v1.billing.meter.error_report_triggered",
      createdAt: new Date("2026-10-04T15:13:32.232Z"),
      timeUnread: false,
      subjects: ["mtr_1"],
      problem: null,
    });
  });

  test("of two signature headers each signature belongs to the time before it", () => {
    const payload = JSON.stringify(event);
    const now = 1_780_324_320;
    const sign = (timestamp: number, secret = "whsec_one"): string =>
      Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
    const verify = (header: string) =>
      stripe().verify(request(payload, { "stripe-signature": header }), ["whsec_one"], now * 1_000);
    const [old, wrong, right] = [sign(now - 1_000), sign(now, "whsec_two"), sign(now)];
    for (const others of [old, wrong, "t=1,v1=00", "t=soon", "v1=00"]) {
      expect(verify(`${others}, ${right}`)).toEqual(matched);
      expect(verify(`${right}, ${others}`)).toEqual(matched);
    }
    expect(verify(`${wrong}, ${old}`)).toEqual({ ok: false, reason: "timestamp-out-of-tolerance" });
    // The signature of the old time does not become new by the time of another header.
    const [time] = right.split(",");
    expect(verify(`${old}, ${time}`).ok).toBe(false);
    expect(verify(`${time}, ${old}`)).toEqual({ ok: false, reason: "timestamp-out-of-tolerance" });
    expect(verify(right.split(",").toReversed().join(","))).toEqual(matched);
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
      json: Buffer.from(JSON.stringify(payload)),
    });
  }
  expect(github().identify(request(payload))).toMatchObject({ id: null, type: null, problem: "no-envelope" });
});

test("GitHub's events can be known by what is signed, so that a replay under other headers is a duplicate", () => {
  const identify = (body: object, delivery: string, event = "push") =>
    github({ idFrom: "body" }).identify(request(body, { "x-github-delivery": delivery, "x-github-event": event }));
  const one = identify({ ref: "a", repository: { full_name: "a/b" } }, "1");
  expect(one).toMatchObject({ id: expect.stringMatching(/^sha256-/) as string, subjects: ["a/b", "1"], problem: null });
  expect(identify({ ref: "a", repository: { full_name: "a/b" } }, "2", "release").id).toBe(one.id);
  expect(identify({ ref: "b" }, "1").id).not.toBe(one.id);
  expect(github({ idFrom: "header" as "body" }).problems).toEqual(['`idFrom` must be "delivery" or "body"']);
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

test("Shopify's new headers are taken like the old ones, and count alone where both are there", () => {
  const body = '{"id":9554194432293,"admin_graphql_api_id":null}';
  const secret = "shopify_client_secret";
  const sign = (text: string): string => createHmac("sha256", secret).update(text).digest("base64");
  const family = (prefix: string, which: string, signature: string): Record<string, string> => ({
    [`${prefix}hmac-sha256`]: signature,
    [`${prefix}topic`]: `orders/${which}`,
    [`${prefix}webhook-id`]: `webhook-${which}`,
    [`${prefix}event-id`]: `event-${which}`,
    [`${prefix}shop-domain`]: `${which}.myshopify.com`,
    [`${prefix}triggered-at`]: "2026-06-01T14:32:00.123Z",
  });
  const verify = (headers: Record<string, string>) => shopify().verify(request(body, headers), [secret], 0);
  const [old, fresh] = [family("x-shopify-", "old", sign(body)), family("shopify-", "new", sign(body))];
  for (const headers of [fresh, { ...old, ...fresh }]) {
    expect(verify(headers)).toEqual(matched);
    expect(shopify().identify(request(body, headers))).toEqual({
      id: "webhook-new",
      type: "shopify.orders/new",
      createdAt: new Date("2026-06-01T14:32:00.123Z"),
      timeUnread: false,
      subjects: ["9554194432293", "new.myshopify.com"],
      problem: null,
    });
  }
  const wrong = sign("another body");
  expect(verify({ ...family("x-shopify-", "old", wrong), ...fresh })).toEqual(matched);
  expect(verify({ ...old, ...family("shopify-", "new", wrong) })).toEqual(mismatch);
  expect(verify({ ...old, "shopify-hmac-sha256": "" })).toEqual(matched);
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
    [{ timestamp: "2026-06-01T14:31:00Z", created_at: 1 }, "2026-06-01T14:31:00.000Z", false],
    [{ timestamp: 1_795_900_000_123 }, "2026-11-28T21:06:40.123Z", false],
    [{ created_at: 1_796_000_000 }, "2026-11-30T00:53:20.000Z", false],
    [{ created_at: "2026-06-01 14:31:00.894719+00" }, "2026-06-01T14:31:00.894Z", false],
    [{ created: 1_796_000_000 }, "2026-11-30T00:53:20.000Z", false],
    [{ createdAt: "2026-06-01T16:31:00+0200" }, "2026-06-01T14:31:00.000Z", false],
    [{ timestamp: "yesterday", created_at: 1_796_000_000 }, "2026-11-30T00:53:20.000Z", false],
    [{ timestamp: null }, undefined, false],
    [{}, undefined, false],
    [{ created_at: "2026-06-01T14:31:00" }, undefined, true],
  ])("of %j the time is %s", (times, expected, timeUnread) => {
    const found = standardWebhooks().identify(request({ type: "a", ...times }, headers("webhook", "")));
    expect(found.createdAt?.toISOString()).toBe(expected);
    expect(found).toMatchObject({ timeUnread, problem: null });
  });

  test.each([
    ["several signatures", (right: string) => `v1,AAAA v2,${right} v1,${Buffer.alloc(32).toString("base64")} ${right}`],
    ["several headers", (right: string) => `v1,${Buffer.alloc(32).toString("base64")}, ${right}`],
    ["several headers without a blank", (right: string) => `v1,${Buffer.alloc(32).toString("base64")},${right}`],
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

  const identify = (parameters: Record<string, string>, url?: string) =>
    twilio().identify(request(new URLSearchParams(parameters).toString(), {}, url));
  const call = { CallSid: "CA1", AccountSid: "AC1", From: "+1", To: "+2", Direction: "inbound", FromCity: "TUNIS" };
  const progress = { CallbackSource: "call-progress-events", Timestamp: "Mon, 01 Jun 2026 14:32:00 +0000" };

  test("a status callback is known by its SID and its status, and has the time of the status", () => {
    expect(identify({ ...call, CallStatus: "in-progress", SequenceNumber: "2", ...progress })).toMatchObject({
      id: "CA1.in-progress",
      createdAt: new Date("2026-06-01T14:32:00Z"),
    });
    const completed = { ...call, CallStatus: "completed", CallDuration: "7", RecordingSid: "RE1", ...progress };
    expect(identify(completed)).toMatchObject({ id: "CA1.completed", type: "twilio.call.completed" });
    expect(identify({ ...call, CallStatus: "ringing", StirVerstat: "TN-Validation-Passed-A" }).id).toBe("CA1.ringing");
    expect(identify({ ...call, CallStatus: "completed", CallDuration: "7" }).id).toBe("CA1.completed");
  });

  test.each<[string, Record<string, string>, Record<string, string>]>([
    ["<Gather>", { Digits: "1" }, { Digits: "2" }],
    ["<Gather> by speech", { SpeechResult: "yes" }, { SpeechResult: "no" }],
    ["<Record>", { RecordingSid: "RE1", Digits: "hangup" }, { RecordingSid: "RE2", Digits: "hangup" }],
    ["<Dial>", { DialCallSid: "CA2", DialCallStatus: "busy" }, { DialCallSid: "CA3", DialCallStatus: "completed" }],
    ["<Enqueue>", { QueuePosition: "2" }, { QueuePosition: "1" }],
    ["a transcription", { TranscriptionSid: "TR1" }, { TranscriptionSid: "TR2" }],
  ])("two requests of %s in one call are two events, whatever its status is", (_, one, other) => {
    for (const CallStatus of ["in-progress", "ringing", "completed"]) {
      const ids = [one, other, {}].map((more) => identify({ ...call, CallStatus, ...more }).id);
      const callback = identify({ ...call, CallStatus, ...progress }).id;
      expect(new Set([...ids.slice(0, 2), callback]).size).toBe(3);
      for (const id of ids) expect(id).toMatch(new RegExp(`^CA1\\.${CallStatus}(\\.[0-9a-f]{32})?$`));
      expect(identify({ ...call, CallStatus, ...one }).id).toBe(ids[0]);
    }
  });

  test("what is asked of a call is told from its callback, and one step of a menu from the next by the URL", () => {
    const asked = { ...call, CallStatus: "in-progress" };
    const [first, again, next] = ["/a?step=1", "/a?step=1", "/a?step=2"].map((url) => identify(asked, url).id);
    expect(again).toBe(first);
    expect(new Set([first, next, identify({ ...asked, ...progress }).id]).size).toBe(3);
  });

  test.each<[string, Record<string, string>, Record<string, string>]>([
    [
      "recordings",
      { CallSid: "CA1", RecordingSid: "RE1", RecordingStatus: "in-progress" },
      { CallSid: "CA1", RecordingSid: "RE1", RecordingStatus: "completed" },
    ],
    [
      "conversations",
      { MessageSid: "IM1", EventType: "onMessageAdded" },
      { MessageSid: "IM1", EventType: "onMessageUpdated" },
    ],
    ["answering machines", { CallSid: "CA1", AnsweredBy: "human" }, { CallSid: "CA1", AnsweredBy: "fax" }],
  ])("two callbacks of %s that tell no status are two events", (_, one, other) => {
    expect(identify(one).id).not.toBe(identify(other).id);
    expect(identify(one).id).toBe(identify(one).id);
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
    ["https://user:pw@a.example/webhooks/it", "https://user:pw@a.example/webhooks/it"],
    ["https://user:80@a.example:443/webhooks/it", "https://user:80@a.example/webhooks/it"],
    ["https://[2001:db8::1]/webhooks/it", "https://[2001:db8::1]:8443/webhooks/it"],
  ])("a signature over %s is right where the URL is %s", (signedUrl, url) => {
    const signature = twilioLibrary.getExpectedTwilioSignature(secret, `${signedUrl}?a=%27b'`, { Body: "hi" });
    const headers = { "x-twilio-signature": signature, host: "a.example" };
    const source = twilio(url === undefined ? {} : { url });
    expect(source.problems).toEqual([]);
    expect(source.verify(request("Body=hi", headers, "/webhooks/it?a=%27b'"), [secret], 0)).toEqual(matched);
    expect(source.verify(request("Body=hi", headers, "/webhooks/it?a=b"), [secret], 0)).toEqual(mismatch);
  });

  test.each([
    ["x'y", "x%27y"],
    ["x%27y", "x'y"],
    ["%C3%A9", "é"],
    ["~b", "%7Eb"],
    ["(b)", "%28b%29"],
  ])("a query of %s that was signed is the same as %s that arrives, in both ways to write it", (signed, arrives) => {
    const base = "https://a.example/webhooks/it?a=";
    const signature = twilioLibrary.getExpectedTwilioSignature(secret, base + signed, { Body: "hi" });
    expect(twilioLibrary.validateRequest(secret, signature, base + arrives, { Body: "hi" })).toBe(true);
    const headers = { "x-twilio-signature": signature, host: "a.example" };
    expect(twilio().verify(request("Body=hi", headers, `/webhooks/it?a=${arrives}`), [secret], 0)).toEqual(matched);
  });

  test("what its own library accepts is accepted, and nothing else", () => {
    // How a piece of a query was signed, and how it arrives.
    const pair = fc.constantFrom(
      "' '",
      "%27 %27",
      "' %27",
      "%27 '",
      "a a",
      "a b",
      "%C3%A9 é",
      "é %C3%A9",
      "~ %7E",
      "%7E ~",
      "( %28",
      "%28 (",
      "%20 +",
      "+ %20",
      "& &",
      "= =",
      "? ?",
      "# #",
    );
    const pairs = fc.option(fc.array(pair, { maxLength: 5 }), { nil: null });
    const host = fc.constantFrom("a.example", "A.example", "user:80@a.example", "[2001:db8::1]");
    const port = fc.constantFrom("", ":443", ":8443", ":80");
    const path = fc.constantFrom("/it", "/it/", "/a'b", "/a%27b", "/");
    let accepted = 0;
    fc.assert(
      fc.property(
        fc.constantFrom("https", "http"),
        host,
        port,
        port,
        path,
        pairs,
        (scheme, name, one, other, at, all) => {
          const queryOf = (which: 0 | 1): string =>
            all === null ? "" : `?a=${all.map((both) => both.split(" ")[which] ?? "").join("")}`;
          const parameters = { Body: "hi", From: ["+2", "+1", "+2"] };
          const signed = `${scheme}://${name}${one}${at}${queryOf(0)}`;
          const signature = twilioLibrary.getExpectedTwilioSignature(secret, signed, parameters);
          const url = `${scheme}://${name}${other}${at}`;
          const ok = twilioLibrary.validateRequest(secret, signature, url + queryOf(1), parameters);
          const body = "Body=hi&From=%2B2&From=%2B1&From=%2B2";
          const sent = request(body, { "x-twilio-signature": signature }, at + queryOf(1));
          expect(twilio({ url }).verify(sent, [secret], 0).ok).toBe(ok);
          if (ok) accepted++;
        },
      ),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(200);
  });

  test("a body that is no form is covered by no signature of the URL alone", () => {
    const url = "https://a.example/webhooks/it";
    const headers = { "x-twilio-signature": twilioLibrary.getExpectedTwilioSignature(secret, url, {}) };
    const verify = (body: Buffer) => twilio({ url }).verify({ ...request("", headers), body }, [secret], 0);
    expect(verify(Buffer.alloc(0))).toEqual(matched);
    expect(verify(Buffer.from([0x41, 0x3d, 0xff]))).toEqual(mismatch);
  });

  test("a forged form of half a million parameters is refused", () => {
    const headers = { "x-twilio-signature": Buffer.alloc(20).toString("base64") };
    expect(twilio().verify(request("a&".repeat(500_000), headers), [secret], 0)).toEqual(mismatch);
  });

  test("an empty token is none", () => {
    expect(twilio().identify(request(sms, { "i-twilio-idempotency-token": "" }))).toMatchObject({ id: "SM1" });
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

  test("numbers for ids and types are taken as they were written, however large, and never rounded", () => {
    const source = hmac({ ...plain, id: { field: "order.id" }, type: { field: "kind" } });
    const idOf = (written: string): string | null =>
      source.identify(request(`\ufeff{"kind":7,"order":{"id":1,"id": ${written} ,"n":[{"id":3}]}}`)).id;
    const written = [
      "9007199254740992",
      "9007199254740993",
      "1524831183200260096",
      "1524831183200260097",
      "-0",
      "0",
      "1e3",
      "1E3",
      "1000",
      "1000.0",
      "123456789012345678901234567890",
    ];
    expect(written.map(idOf)).toEqual(written);
    expect(idOf('"1e3"')).toBe("1e3");
    for (const none of ["null", "true", "[1]", "{}", '""']) expect(idOf(none)).toBeNull();
    const found = source.identify(request('{"kind":12345678901234567890,"order":{"id":"a"}}'));
    expect(found).toMatchObject({ id: "a", type: "acme.12345678901234567890", problem: null });
    expect(hmac(plain).identify(request('{"id":9007199254740993}')).id).toBe("9007199254740993");
  });

  test.each<[unknown, string | null, boolean]>([
    [1_780_324_320, "2026-06-01T14:32:00.000Z", false],
    [1_780_324_320_123, "2026-06-01T14:32:00.123Z", false],
    ["1780324320", "2026-06-01T14:32:00.000Z", false],
    ["2026-06-01T14:32:00+0000", "2026-06-01T14:32:00.000Z", false],
    ["2026-06-01t14:32z", "2026-06-01T14:32:00.000Z", false],
    ["2026-06-01T14:32:00", null, true],
    [{}, null, true],
    [null, null, false],
    ["", null, false],
    [undefined, null, false],
    [0, null, true],
  ])("a createdAt of %j is read as %s", (createdAt, expected, timeUnread) => {
    const found = hmac(plain).identify(request({ id: "1", createdAt }));
    expect(found).toMatchObject({
      createdAt: expected === null ? null : new Date(expected),
      timeUnread,
      problem: null,
    });
  });

  test("a createdAt with an exponent is the time that the number is", () => {
    const { createdAt } = hmac(plain).identify(request('{"id":"1","createdAt":1.78032432E9}'));
    expect(createdAt).toEqual(new Date("2026-06-01T14:32:00Z"));
  });

  test.each([
    ["ISO 8601", "2026-06-01T14:32:00Z"],
    ["ISO 8601 with an offset and a fraction", "2026-06-01T16:32:00.123+0200"],
    ["seconds", "1780324320"],
    ["milliseconds", "1780324320123"],
  ])("a signed time in %s is taken as it was sent, and judged by what it says", (_, time) => {
    const source = hmac({ ...plain, timestampHeader: "X-Time", content: "{timestamp}{body}" });
    const secret = "a_secret_of_acme";
    const signed = createHmac("sha256", secret).update(`${time}{}`).digest("hex");
    const sent = request("{}", { "x-signature": signed, "x-time": time });
    const at = (seconds: number) => source.verify(sent, [secret], 1_780_324_320_000 + seconds * 1_000);
    expect([at(0), at(299), at(-299)]).toEqual([matched, matched, matched]);
    for (const seconds of [302, -302]) expect(at(seconds)).toEqual({ ok: false, reason: "timestamp-out-of-tolerance" });
    const other = request("{}", { "x-signature": signed, "x-time": time.replace("32", "33") });
    expect(source.verify(other, [secret], 1_780_324_320_000)).toEqual(mismatch);
    const none = request("{}", { "x-signature": signed, "x-time": "soon" });
    expect(source.verify(none, [secret], 0)).toEqual({ ok: false, reason: "malformed-signature" });
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
    ["bodyVaries", { bodyVaries: "yes" }],
    ["unknown", { unknown: "PRIVATE" }],
  ])("a wrong `%s` is told by its name (case %#)", (name, wrong) => {
    const { problems } = hmac({ ...plain, ...wrong } as HmacOptions);
    expect(problems).toEqual([expect.stringContaining(`\`${name}\``)]);
  });
});

test("the body of an event varies where its provider is known for that, or where it is set", () => {
  const varies = [stripe(), hmac({ provider: "acme", header: "a", bodyVaries: true }), buzzbip({ bodyVaries: true })];
  expect(varies.map(({ bodyVaries }) => bodyVaries)).toEqual([true, true, true]);
  const same = [github(), shopify(), slack(), twilio(), standardWebhooks(), buzzbip(), stripe({ bodyVaries: false })];
  expect(same.filter(({ bodyVaries }) => bodyVaries)).toEqual([]);
});
