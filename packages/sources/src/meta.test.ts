import { describe, expect, test } from "vitest";
import { type EventIdentity, type Handshake, requestOfBody } from "./define-source.ts";
import { meta } from "./meta.ts";

const source = meta();
const bodiesOf = (body: string): string[] => source.split!(requestOfBody(Buffer.from(body))).map(String);
const identify = (body: string): EventIdentity => source.identify(requestOfBody(Buffer.from(body)));
const identitiesOf = (body: object | string): EventIdentity[] =>
  bodiesOf(typeof body === "string" ? body : JSON.stringify(body)).map(identify);

// After the examples of developers.facebook.com, cut to what tells the events apart.
const metadata = { display_phone_number: "15550783881", phone_number_id: "106540352242922" };
const WAMID = "wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=";
const MID = "mid.1457764197618:41d102a3e1ae206a38";
const text = { from: "16505551234", id: WAMID, timestamp: "1749416383", type: "text", text: { body: "Blue?" } };
const ofField = (field: string, value: object) => ({ value: { messaging_product: "whatsapp", ...value }, field });
const message = ofField("messages", {
  metadata,
  contacts: [{ profile: { name: "Sheena Nelson" }, wa_id: "16505551234" }],
  messages: [text],
});
const statusOf = (status: string) =>
  ofField("messages", {
    metadata,
    statuses: [{ id: WAMID, status, timestamp: "1750857384", recipient_id: "16505551234" }],
  });
const whatsapp = (...changes: object[]) => ({
  object: "whatsapp_business_account",
  entry: [{ id: "102290129340398", changes }],
});
const page = (list: "messaging" | "standby" | "changes", ...items: object[]) => ({
  object: "page",
  entry: [{ id: "111111", time: 1_457_764_198_246, [list]: items }],
});
const people = { sender: { id: "USER" }, recipient: { id: "111111" }, timestamp: 1_457_764_197_627 };
const instagram = (entry: object) => ({ object: "instagram", entry: [{ id: "17841", time: 1_547_687_043, ...entry }] });

test.each<[string, object, Partial<EventIdentity>]>([
  [
    "a message of WhatsApp",
    whatsapp(message),
    {
      id: WAMID,
      type: "meta.whatsapp.messages",
      createdAt: new Date("2025-06-08T20:59:43Z"),
      subjects: ["16505551234", "106540352242922", WAMID, "102290129340398"],
    },
  ],
  [
    "a status of WhatsApp",
    whatsapp(statusOf("delivered")),
    {
      id: `${WAMID}.delivered`,
      type: "meta.whatsapp.statuses",
      createdAt: new Date("2025-06-25T13:16:24Z"),
      subjects: ["16505551234", "106540352242922", WAMID, "102290129340398"],
    },
  ],
  [
    "several messages of one change",
    whatsapp(ofField("messages", { metadata, messages: [text, { ...text, id: "wamid.2" }] })),
    { id: `${WAMID},wamid.2`, type: "meta.whatsapp.messages" },
  ],
  [
    "a call of WhatsApp",
    whatsapp(ofField("calls", { metadata, calls: [{ id: "wacid.1", event: "connect", timestamp: "1749416383" }] })),
    { id: "wacid.1.connect", type: "meta.whatsapp.calls" },
  ],
  [
    "a message of Messenger",
    page("messaging", { ...people, message: { mid: MID, text: "hello, world!" } }),
    {
      id: MID,
      type: "meta.messenger.message",
      createdAt: new Date(1_457_764_197_627),
      subjects: ["USER", "111111", MID],
    },
  ],
  [
    "an echo of a message",
    page("messaging", {
      sender: people.recipient,
      recipient: people.sender,
      timestamp: people.timestamp,
      message: { is_echo: true, app_id: 1517776481860111, mid: MID, text: "hi" },
    }),
    { id: `${MID}.message_echo`, type: "meta.messenger.message_echo", subjects: ["USER", "111111", MID] },
  ],
  [
    "a postback",
    page("messaging", { ...people, postback: { mid: MID, title: "Start", payload: "START" } }),
    { id: `${MID}.postback`, type: "meta.messenger.postback" },
  ],
  [
    "a message that another app answers",
    page("standby", { ...people, message: { mid: MID, text: "hello" } }),
    { id: `${MID}.standby`, type: "meta.messenger.standby.message" },
  ],
  [
    "a lead",
    page("changes", { field: "leadgen", value: { leadgen_id: "444", page_id: "111111", created_time: 1_457_764_197 } }),
    { id: "leadgen.444", type: "meta.page.leadgen", createdAt: new Date(1_457_764_198_246) },
  ],
  [
    "a message of Instagram that was taken back",
    instagram({ messaging: [{ ...people, message: { mid: MID, is_deleted: true } }] }),
    { id: `${MID}.message_deleted`, type: "meta.instagram.message_deleted" },
  ],
  [
    "a comment of Instagram",
    instagram({ changes: [{ field: "comments", value: { id: "17865799348089039", from: { id: "232323232" } } }] }),
    {
      id: "comments.17865799348089039",
      type: "meta.instagram.comments",
      createdAt: new Date("2019-01-17T01:04:03Z"),
      subjects: ["232323232", "17865799348089039", "17841"],
    },
  ],
])("%s has the ids, the type and the time of its provider", (_, body, expected) => {
  expect(identitiesOf(body)).toEqual([expect.objectContaining({ problem: null, timeUnread: false, ...expected })]);
});

const hashed = expect.stringMatching(/^sha256-[0-9a-f]{64}$/) as string;

test.each<[string, object, string]>([
  [
    "a template",
    whatsapp(ofField("message_template_status_update", { event: "APPROVED" })),
    "whatsapp.message_template_status_update",
  ],
  [
    "a status of a member of a group",
    whatsapp(ofField("messages", { statuses: [{ id: WAMID, status: "read", recipient_type: "group" }] })),
    "whatsapp.statuses",
  ],
  ["a delivery", page("messaging", { ...people, delivery: { mids: [MID], watermark: 1 } }), "messenger.delivery"],
  ["a reaction", page("messaging", { ...people, reaction: { mid: MID, action: "react" } }), "messenger.reaction"],
  ["a referral in Instagram", instagram({ messaging: [{ ...people, referral: { ref: "ad" } }] }), "instagram.referral"],
  ["a change without a list", instagram({ field: "mentions", value: { media_id: "1" } }), "instagram.mentions"],
  [
    "an object that has no product",
    { object: "user", entry: [{ uid: "1", time: 1, changed_fields: ["photos"] }] },
    "user",
  ],
])("%s, which has no id, is known by its bytes", (_, body, type) => {
  expect(identitiesOf(body)).toEqual([expect.objectContaining({ id: hashed, type: `meta.${type}`, problem: null })]);
});

describe("what is sent together", () => {
  const entries = [
    `{"id":"1", "time":1749416390,"big":9007199254740993,"changes":[ {"field":"messages","value":{"messages":[{"id":"a","n":1.10}]}}, {"field":"messages","value":{"statuses":[{"id":"a","status":"read"}]}}]}`,
    `{"id":"2","messaging":[{"message":{"mid":"m"},"timestamp":1E3}],"standby":[{"message":{"mid":"s"}}]}`,
    `{"id":"3","changed_fields":["photos"]}`,
  ];

  test("becomes an envelope for each, in its exact bytes", () => {
    expect(bodiesOf(`{ "object":"page","entry":[${entries.join(", ")}] }`)).toEqual([
      `{"object":"page","entry":[{"id":"1","time":1749416390,"big":9007199254740993,"changes":[{"field":"messages","value":{"messages":[{"id":"a","n":1.10}]}}]}]}`,
      `{"object":"page","entry":[{"id":"1","time":1749416390,"big":9007199254740993,"changes":[{"field":"messages","value":{"statuses":[{"id":"a","status":"read"}]}}]}]}`,
      `{"object":"page","entry":[{"id":"2","messaging":[{"message":{"mid":"m"},"timestamp":1E3}]}]}`,
      `{"object":"page","entry":[{"id":"2","standby":[{"message":{"mid":"s"}}]}]}`,
      `{"object":"page","entry":[{"id":"3","changed_fields":["photos"]}]}`,
    ]);
  });

  test.each([
    ` { "object": "page", "entry": [${entries[2]}] }`,
    JSON.stringify(whatsapp(message)),
    JSON.stringify(whatsapp()),
    '{"object":"page","entry":[]}',
    '{"object":"page"}',
    "no JSON",
    '{"entry":[1,2',
  ])("is left as it is where it is one: %s", (body) => {
    expect(bodiesOf(body)).toEqual([body]);
  });

  test("gives the same ids however it is grouped, and whenever the entry says that it was sent", () => {
    const template = ofField("message_template_status_update", { event: "APPROVED" });
    const together = whatsapp(message, statusOf("sent"), statusOf("read"));
    const read = { ...people, read: { watermark: 1 } };
    const idsOf = (...bodies: object[]) => bodies.flatMap(identitiesOf).map(({ id }) => id);
    expect(idsOf(together)).toEqual(idsOf(whatsapp(message), whatsapp(statusOf("sent")), whatsapp(statusOf("read"))));
    expect(new Set(idsOf(together)).size).toBe(3);
    const [entry] = page("messaging", read).entry;
    const later = { object: "page", entry: [{ ...entry, time: 1_557_764_198_246 }] };
    expect(idsOf(page("messaging", read, { ...read, timestamp: 2 })).at(0)).toBe(idsOf(later).at(0));
    // Nothing but the time of its sending tells it from the same change a month later.
    const at = (time: number) => ({
      object: "whatsapp_business_account",
      entry: [{ id: "1", time, changes: [template] }],
    });
    expect(new Set(idsOf(at(1), at(1), at(2))).size).toBe(2);
  });

  test("of many messages in one change the id is a hash of theirs", () => {
    const messages = Array.from({ length: 100 }, (_, n) => ({ ...text, id: `${WAMID}${n}` }));
    expect(identitiesOf(whatsapp(ofField("messages", { messages })))).toEqual([
      expect.objectContaining({ id: hashed }),
    ]);
  });

  test("is cut a thousand times in little time", () => {
    const changes = Array.from({ length: 1_000 }, (_, n) =>
      ofField("messages", { messages: [{ ...text, id: `wamid.${n}`, text: { body: "x".repeat(500) } }] }),
    );
    const ids = identitiesOf(whatsapp(...changes)).map(({ id }) => id);
    expect(ids).toEqual(changes.map((_, n) => `wamid.${n}`));
  });
});

test.each<[string, Handshake]>([
  [
    "hub.mode=subscribe&hub.verify_token=my%20token&hub.challenge=1158201444",
    { contentType: "text/plain", body: "1158201444" },
  ],
  ["hub.challenge=a%3Cb&hub.verify_token=older&hub.mode=subscribe", { contentType: "text/plain", body: "a<b" }],
  ["hub.mode=subscribe&hub.verify_token=my%20toke&hub.challenge=1158201444", "refused"],
  ["hub.mode=subscribe&hub.verify_token=&hub.challenge=1158201444", "refused"],
  ["hub.mode=subscribe&hub.challenge=1158201444", "refused"],
  ["hub.mode=subscribe&hub.verify_token=my%20token", null],
  ["hub.mode=unsubscribe&hub.verify_token=my%20token&hub.challenge=1", null],
  [`hub.mode=subscribe&hub.verify_token=older&hub.challenge=${"1".repeat(1_025)}`, null],
  ["", null],
])("a GET with ?%s is answered by its verify token", (query, expected) => {
  const asked = { ...requestOfBody(Buffer.alloc(0)), url: `/webhooks/meta?${query}`, verified: false };
  const secrets = { signing: ["secret"], verifyTokens: ["my token", "older", ""] };
  expect(source.handshake!({ ...asked, method: "GET" }, secrets)).toEqual(expected);
  for (const method of ["HEAD", "POST"] as const) expect(source.handshake!({ ...asked, method }, secrets)).toBeNull();
});
