import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  type EventIdentity,
  type Handshake,
  type HandshakeRequest,
  requestOfBody,
  type SignedRequest,
  type Source,
} from "./define-source.ts";
import { discord } from "./discord.ts";
import { hubspot } from "./hubspot.ts";
import { intercom } from "./intercom.ts";
import { linear } from "./linear.ts";
import { paddle } from "./paddle.ts";
import { pagerduty } from "./pagerduty.ts";
import { sendgrid } from "./sendgrid.ts";
import { square } from "./square.ts";
import { trello } from "./trello.ts";
import { zendesk } from "./zendesk.ts";
import { zoom } from "./zoom.ts";

function request(body: string | object, headers: Record<string, string> = {}, url = "/webhooks/it"): SignedRequest {
  const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  return { ...requestOfBody(bytes), url, header: (name) => headers[name] };
}

const hashed = expect.stringMatching(/^sha256-[0-9a-f]{64}$/) as string;

interface Documented {
  readonly name: string;
  readonly source: Source;
  readonly headers?: Record<string, string>;
  /** After the provider's own example, cut to what is read of it. */
  readonly body: object;
  readonly expected: Partial<EventIdentity>;
}

const zoomMeeting = {
  id: 1234567890,
  uuid: "4444AAAiAAAAAiAiAiiAii==",
  host_id: "x1yCzABCDEfg23HiJKl4mN",
  topic: "My",
};
const trelloAction = {
  id: "51f9424bcd6e040f3c002412",
  idMemberCreator: "4fc78a59a885233f4b349bd9",
  data: { board: { id: "4d5ea62fd76aa1136000000c" }, card: { id: "4f6a15a2", idShort: 7 } },
  type: "updateCard",
  date: "2013-07-31T16:58:51.949Z",
};
const hubspotEvent = {
  eventId: 1,
  subscriptionId: 12345,
  portalId: 62515,
  occurredAt: 1_564_113_600_000,
  subscriptionType: "contact.creation",
  attemptNumber: 0,
  objectId: 123,
};

const documented: readonly Documented[] = [
  {
    name: "Trello",
    source: trello(),
    body: { action: trelloAction, model: { id: "4d5ea62fd76aa1136000000c" } },
    expected: {
      id: "51f9424bcd6e040f3c002412",
      type: "trello.updateCard",
      createdAt: new Date("2013-07-31T16:58:51.949Z"),
      subjects: ["4f6a15a2", "4d5ea62fd76aa1136000000c", "4fc78a59a885233f4b349bd9"],
    },
  },
  {
    name: "Zoom",
    source: zoom(),
    body: {
      event: "meeting.started",
      event_ts: 1_626_230_691_572,
      payload: { account_id: "AAA", object: zoomMeeting },
    },
    expected: {
      id: hashed,
      type: "zoom.meeting.started",
      createdAt: new Date("2021-07-14T02:44:51.572Z"),
      subjects: ["4444AAAiAAAAAiAiAiiAii==", "1234567890", "AAA"],
    },
  },
  {
    name: "Paddle",
    source: paddle(),
    body: {
      event_id: "evt_01hv8x29",
      event_type: "transaction.billed",
      occurred_at: "2024-04-12T10:18:47.635628Z",
      notification_id: "ntf_01hv8x29",
      data: { id: "txn_01hv8wpt", customer_id: "ctm_01hv6y1j", subscription_id: null },
    },
    expected: {
      id: "evt_01hv8x29",
      type: "paddle.transaction.billed",
      createdAt: new Date("2024-04-12T10:18:47.635Z"),
      subjects: ["ctm_01hv6y1j", "txn_01hv8wpt"],
    },
  },
  {
    name: "Linear",
    source: linear(),
    headers: { "linear-delivery": "234d1a4e-b617-4388-90fe-adc3633d6b72" },
    body: {
      action: "create",
      type: "Comment",
      createdAt: "2020-01-23T12:53:18.084Z",
      data: { id: "2174add1", body: "Indeed", issueId: "539068e2" },
      webhookTimestamp: 1_676_056_940_508,
    },
    expected: {
      id: "234d1a4e-b617-4388-90fe-adc3633d6b72",
      type: "linear.Comment.create",
      createdAt: new Date("2020-01-23T12:53:18.084Z"),
      subjects: ["2174add1", "539068e2"],
    },
  },
  {
    name: "Discord",
    source: discord(),
    body: {
      version: 1,
      application_id: "1234560123453231555",
      type: 1,
      event: {
        type: "ENTITLEMENT_CREATE",
        timestamp: "2024-10-18T18:41:21.109604",
        data: { id: "1234505980407808808", user_id: "111178765189277770" },
      },
    },
    expected: {
      id: hashed,
      type: "discord.ENTITLEMENT_CREATE",
      createdAt: new Date("2024-10-18T18:41:21.109Z"),
      subjects: ["111178765189277770", "1234505980407808808", "1234560123453231555"],
    },
  },
  {
    name: "Discord, an interaction",
    source: discord(),
    body: { type: 2, id: "786008729715212338", guild_id: "290926798626357999", channel_id: "645027906669510667" },
    expected: {
      id: "786008729715212338",
      type: "discord.interaction",
      subjects: ["645027906669510667", "290926798626357999"],
    },
  },
  {
    name: "SendGrid",
    source: sendgrid(),
    body: {
      email: "example@test.com",
      timestamp: 1_513_299_569,
      event: "processed",
      sg_event_id: "sg_event_id",
      sg_message_id: "sg_message_id",
    },
    expected: {
      id: "sg_event_id",
      type: "sendgrid.processed",
      createdAt: new Date("2017-12-15T00:59:29Z"),
      subjects: ["example@test.com", "sg_message_id"],
    },
  },
  {
    name: "HubSpot",
    source: hubspot(),
    body: hubspotEvent,
    expected: {
      id: expect.stringMatching(/^1\.[0-9a-f]{16}$/) as string,
      type: "hubspot.contact.creation",
      createdAt: new Date("2019-07-26T04:00:00Z"),
      subjects: ["123", "62515"],
    },
  },
  {
    name: "Square",
    source: square(),
    body: {
      merchant_id: "6SSW7HV8K2ST5",
      type: "payment.created",
      event_id: "13b867cf-db3d-4b1c-90b6-2f32a9d78124",
      created_at: "2020-02-06T21:27:34.308Z",
      data: { type: "payment", id: "KkAkhdMsgzn59SM8A89WgKwekxLZY" },
    },
    expected: {
      id: "13b867cf-db3d-4b1c-90b6-2f32a9d78124",
      type: "square.payment.created",
      createdAt: new Date("2020-02-06T21:27:34.308Z"),
      subjects: ["KkAkhdMsgzn59SM8A89WgKwekxLZY", "6SSW7HV8K2ST5"],
    },
  },
  {
    name: "Zendesk",
    source: zendesk(),
    headers: { "x-zendesk-webhook-invocation-id": "8350205582" },
    body: {
      account_id: 22129848,
      detail: { id: "5158", status: "OPEN" },
      event: { meta: { version: "1.0" } },
      id: "2b24ef10-19d3-4740-93cf-8f98ec4776c0",
      subject: "zen:ticket:5158",
      time: "2099-07-04T05:33:18Z",
      type: "zen:event-type:ticket.status_changed",
    },
    expected: {
      id: "2b24ef10-19d3-4740-93cf-8f98ec4776c0",
      type: "zendesk.ticket.status_changed",
      createdAt: new Date("2099-07-04T05:33:18Z"),
      subjects: ["5158", "zen:ticket:5158"],
    },
  },
  {
    name: "Zendesk, a trigger with a body of one's own",
    source: zendesk(),
    headers: { "x-zendesk-webhook-invocation-id": "8350205582" },
    body: { id: 7, type: "question", text: "{{ticket.title}}" },
    expected: { id: "8350205582", type: "zendesk.webhook", createdAt: null },
  },
  {
    name: "PagerDuty",
    source: pagerduty(),
    body: {
      event: {
        id: "5ac64822-4adc-4fda-ade0-410becf0de4f",
        event_type: "incident.priority_updated",
        resource_type: "incident",
        occurred_at: "2020-10-02T18:45:22.169Z",
        data: { id: "PGR0VU2", type: "incident", service: { id: "PF9KMXH" } },
      },
    },
    expected: {
      id: "5ac64822-4adc-4fda-ade0-410becf0de4f",
      type: "pagerduty.incident.priority_updated",
      createdAt: new Date("2020-10-02T18:45:22.169Z"),
      subjects: ["PGR0VU2", "PF9KMXH"],
    },
  },
  {
    name: "Intercom",
    source: intercom(),
    body: {
      type: "notification_event",
      app_id: "a86dr8yl",
      data: { type: "notification_event_data", item: { type: "conversation", id: "1234" } },
      id: "notif_ccd8a4d0",
      topic: "conversation.user.created",
      delivery_attempts: 1,
      created_at: 1_392_731_331,
    },
    expected: {
      id: "notif_ccd8a4d0",
      type: "intercom.conversation.user.created",
      createdAt: new Date("2014-02-18T13:48:51Z"),
      subjects: ["1234", "a86dr8yl"],
    },
  },
  {
    name: "Intercom, the test of its page",
    source: intercom(),
    body: { type: "notification_event", id: null, topic: "ping", data: { item: { type: "ping" } } },
    expected: { id: hashed, type: "intercom.ping" },
  },
];

test.each(documented)("$name: id, type, time and subjects", ({ source, headers, body, expected }) => {
  const bodies = source.split?.(request([body])) ?? [Buffer.from(JSON.stringify(body))];
  const identities = bodies.map((part) => source.identify({ ...request(body, headers), body: part }));
  expect(identities).toEqual([expect.objectContaining({ problem: null, timeUnread: false, ...expected })]);
});

test("an event of HubSpot is the same in every delivery, and another where anything else differs", () => {
  const idOf = (changed: object) => hubspot().identify(request({ ...hubspotEvent, ...changed })).id;
  expect(idOf({ attemptNumber: 3 })).toBe(idOf({}));
  for (const changed of [{ eventId: 2 }, { objectId: 124 }, { occurredAt: 1 }, { propertyName: "email" }]) {
    expect(idOf(changed)).not.toBe(idOf({}));
  }
  const big = request('{"eventId":9007199254740993,"objectId":9007199254740993}');
  expect(hubspot().identify(big)).toMatchObject({
    id: expect.stringMatching(/^9007199254740993\./) as string,
    subjects: ["9007199254740993"],
  });
});

describe("requests that carry several events", () => {
  test.each([
    ["SendGrid", sendgrid()],
    ["HubSpot", hubspot()],
  ])("%s: each is one, in its exact bytes", (_, source) => {
    const items = ['{"sg_event_id":"1", "n":1.10}', '{ "n": 9007199254740993 }'];
    expect(source.split!(request(`[${items.join(" , ")}]`)).map(String)).toEqual(items);
    const bytes = Buffer.from(`[${items[1]},"\xff"]`, "latin1");
    const parts = source.split!({ ...request(""), body: bytes }).map((part) => part.toString("latin1"));
    expect(parts).toEqual([items[1], '"\xff"']);
    for (const broken of [`[${items.join(" ")}]`, `[${items[0]}`, `[${items[0]}]]`, `[${items[0]},]`, "[]"]) {
      expect(source.split!(request(broken)).map(String)).toEqual([broken]);
    }
  });

  test("HubSpot: the id of an event with thousands of members is found in one pass", () => {
    const members = Array.from({ length: 20_000 }, (_, n) => `"m${n}":${n}`).join(",");
    expect(hubspot().identify(request(`{"eventId":1,"subscriptionType":"a","attemptNumber":1,${members}}`))).toEqual(
      expect.objectContaining({ id: expect.stringMatching(/^1\.[0-9a-f]{16}$/) as string, problem: null }),
    );
  });
});

test("the last digits of a signed time cannot become the beginning of a body", () => {
  const ec = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const ed = generateKeyPairSync("ed25519");
  const [time, body] = ["1780324320", '[{"event":"open"}]'];
  const cases = [
    {
      source: sendgrid(),
      secret: ec.publicKey.export({ format: "der", type: "spki" }).toString("base64"),
      name: "x-twilio-email-event-webhook-",
      signature: ["signature", sign("sha256", Buffer.from(time + body), ec.privateKey).toString("base64")] as const,
    },
    {
      source: discord({ toleranceSeconds: 0 }),
      secret: Buffer.from(ed.publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("hex"),
      name: "x-signature-",
      signature: ["ed25519", sign(null, Buffer.from(time + body), ed.privateKey).toString("hex")] as const,
    },
  ];
  for (const { source, secret, name, signature } of cases) {
    const verify = (digits: number) => {
      const headers = { [name + signature[0]]: signature[1], [`${name}timestamp`]: time.slice(0, digits) };
      return source.verify(request(time.slice(digits) + body, headers), [secret], 0);
    };
    expect(verify(10)).toMatchObject({ ok: true, secretIndex: 0 });
    for (const digits of [1, 8, 9]) expect(verify(digits)).toEqual({ ok: false, reason: "malformed-signature" });
  }
});

describe("what providers ask before they send", () => {
  const ask = (source: Source, request: Partial<HandshakeRequest>, signing: readonly string[] = []): Handshake =>
    source.handshake!(
      { ...requestOfBody(Buffer.alloc(0)), method: "POST", verified: true, ...request },
      { signing, verifyTokens: [] },
    );
  const asJson = (body: object) => ({ body: Buffer.from(JSON.stringify(body)) });

  test.each([
    ["Trello", trello()],
    ["Intercom", intercom()],
  ])("%s's HEAD is answered, and nothing else", (_, source) => {
    expect(ask(source, { method: "HEAD", verified: false })).toEqual({ contentType: "text/plain", body: "" });
    for (const method of ["GET", "POST"] as const) expect(ask(source, { method, verified: false })).toBeNull();
    expect(ask(source, asJson({ topic: "ping" }))).toBeNull();
  });

  test("Zoom's validation is answered with the secret that it is signed with", () => {
    const body = JSON.stringify({
      payload: { plainToken: "qgg8vlvZRS6UYooatFL8Aw" },
      event: "endpoint.url_validation",
    });
    const sign = (secret: string, text: string): string => createHmac("sha256", secret).update(text).digest("hex");
    const headers = {
      "x-zm-request-timestamp": "1654503849",
      "x-zm-signature": `v0=${sign("old", `v0:1654503849:${body}`)}`,
    };
    const asked = request(body, headers);
    const answer = { plainToken: "qgg8vlvZRS6UYooatFL8Aw", encryptedToken: sign("old", "qgg8vlvZRS6UYooatFL8Aw") };
    expect(ask(zoom(), asked, ["new", "old"])).toEqual({
      contentType: "application/json",
      body: JSON.stringify(answer),
    });
    expect(ask(zoom(), { ...asked, verified: false }, ["new", "old"])).toBeNull();
    expect(ask(zoom(), { ...asked, ...asJson({ event: "meeting.started" }) }, ["old"])).toBeNull();
  });

  test("Discord's PINGs are answered, once they are verified, and its events are not", () => {
    const none = { status: 204, contentType: "application/json", body: "" };
    expect(ask(discord(), asJson({ version: 1, application_id: "1", type: 0 }))).toEqual(none);
    const pong = { contentType: "application/json", body: '{"type":1}' };
    expect(ask(discord(), asJson({ type: 1, id: "1", token: "t" }))).toEqual(pong);
    expect(ask(discord(), { ...asJson({ type: 0 }), verified: false })).toBeNull();
    expect(ask(discord(), asJson({ type: 1, event: { type: "ENTITLEMENT_CREATE" } }))).toBeNull();
    expect(ask(discord(), asJson({ type: 2, id: "1" }))).toBeNull();
  });
});

describe("several signatures in one header, as while a secret is rotated", () => {
  const body = '{"a":1}';
  const sign = (text: string): string => createHmac("sha256", "new").update(text).digest("hex");
  const other = "0".repeat(64);

  test.each<[string, Source, Record<string, string>]>([
    ["Paddle", paddle(), { "paddle-signature": `ts=1671552777;h1=${other};h1=${sign(`1671552777:${body}`)}` }],
    ["PagerDuty", pagerduty(), { "x-pagerduty-signature": `v1=${other},v2=${other},v1=${sign(body)}` }],
    ["Linear", linear(), { "linear-signature": `${other}, ${sign(body)}` }],
  ])("%s: one right one will do", (_, source, headers) => {
    expect(source.verify(request(body, headers), ["new"], 1_671_552_777_000)).toMatchObject({
      ok: true,
      secretIndex: 0,
    });
    expect(source.verify(request(body, headers), ["none"], 1_671_552_777_000)).toMatchObject({ reason: "mismatch" });
  });
});

test("without a `url` the one that is signed is made of the request's host and path", () => {
  const signature = createHmac("sha256", "key").update("https://a.example/webhooks/it?b=c{}").digest("base64");
  const headers = { "x-square-hmacsha256-signature": signature, host: "a.example" };
  const accepted = (source: Source, url: string): boolean => source.verify(request("{}", headers, url), ["key"], 0).ok;
  expect(accepted(square(), "/webhooks/it?b=c")).toBe(true);
  expect(accepted(square({ url: "https://a.example/webhooks/it" }), "/behind/a/proxy?b=c")).toBe(true);
  for (const url of ["/webhooks/it", "/webhooks/it?b=d", "/behind/a/proxy?b=c"])
    expect(accepted(square(), url)).toBe(false);
});

test.each([
  ["trello", trello],
  ["hubspot", hubspot],
  ["square", square],
])("%s() takes an http or https URL without a query", (_, source) => {
  expect(source({ url: "https://a.example/webhooks/it" }).problems).toEqual([]);
  for (const url of ["hooks.example.com", "https://a/b?c=d", "ftp://a", 7]) {
    expect(source({ url: url as string }).problems).toHaveLength(1);
  }
});

test.each([
  ["discord", discord(), "0".repeat(63)],
  ["discord", discord(), "bot token"],
  ["sendgrid", sendgrid(), "SG.key"],
  ["sendgrid", sendgrid(), ""],
])("a secret of %s that is no public key is told", (_, source, secret) => {
  expect(source.checkSecret(secret)).toMatch(/^must be /);
});
