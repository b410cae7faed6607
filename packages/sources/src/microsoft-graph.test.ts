import { expect, test } from "vitest";
import { type EventIdentity, type Handshake, requestOfBody, type Verification } from "./define-source.ts";
import { microsoftGraph } from "./microsoft-graph.ts";

const source = microsoftGraph();
const secrets = ["secretClientValue", "older", ""];
const verify = (body: unknown, live: readonly string[] = secrets): Verification =>
  source.verify(requestOfBody(Buffer.from(typeof body === "string" ? body : JSON.stringify(body))), live, 0);
const identify = (item: object): EventIdentity => source.identify(requestOfBody(Buffer.from(JSON.stringify(item))));

// After the examples of learn.microsoft.com.
const notification = {
  id: "lsgTZMr9KwAAA",
  subscriptionId: "sub",
  subscriptionExpirationDateTime: "2016-03-19T22:11:09.952Z",
  clientState: "secretClientValue",
  changeType: "created",
  resource: "users/u@t/messages/m",
  tenantId: "84bd8158",
  resourceData: { "@odata.type": "#Microsoft.Graph.Message", "@odata.etag": 'W/"CQAA"', id: "m" },
};
const missed = { subscriptionId: "sub", tenantId: "t", clientState: "older", lifecycleEvent: "missed" };
const drive = { subscriptionId: "sub", clientState: "older", changeType: "updated", resource: "me/drive/root" };

const missing = { ok: false, reason: "missing-signature" };
const mismatch = { ok: false, reason: "mismatch" };

test.each<[string, unknown, object]>([
  ["with the secret in each", { value: [notification, notification] }, { ok: true, secretIndex: 0 }],
  ["with secrets of two subscriptions", { value: [notification, missed] }, { ok: true, secretIndex: 1 }],
  ["with one wrong of several", { value: [notification, { ...missed, clientState: "olde" }] }, mismatch],
  ["with another secret", { value: [{ ...notification, clientState: "guessed" }] }, mismatch],
  ["without it in one", { value: [notification, { changeType: "created" }] }, missing],
  ["with the empty secret, which everybody knows", { value: [{ clientState: "" }] }, missing],
  ["with something else for it", { value: [{ clientState: ["secretClientValue"] }] }, missing],
  ["with none in it", { value: [] }, missing],
  ["outside of a list", { value: notification }, missing],
  ["with the secret elsewhere", { clientState: "secretClientValue", value: [{}] }, missing],
  [
    "with two lists, of which the last counts",
    '{"value":[{"clientState":"older"}],"value":[{"clientState":"x"}]}',
    mismatch,
  ],
  ["that is no JSON", "secretClientValue", missing],
])("a request %s is judged by clientState: %#", (_, body, expected) => {
  expect(verify(body)).toEqual(expected);
  expect(verify(body, [])).toMatchObject({ ok: false });
});

test("the first wrong clientState of a request is the last that is looked at", () => {
  let looks = 0;
  const counted = new Proxy(secrets, {
    get(target, name) {
      if (name === "entries" || name === Symbol.iterator) looks++;
      return Reflect.get(target, name) as unknown;
    },
  });
  const value = [notification, ...Array.from({ length: 1_000 }, () => ({ clientState: "guessed" }))];
  expect(verify({ value }, counted)).toEqual(mismatch);
  expect(looks).toBe(2);
});

test("each notification is an event, in its exact bytes", () => {
  const [one, two] = ['{"clientState":"older", "n":9007199254740993}', '{ "clientState": "older" }'];
  const body = Buffer.from(`{"value":[${one}, ${two}],"validationTokens":["a.b.c"]}`);
  expect(source.split!(requestOfBody(body)).map(String)).toEqual([one, two]);
});

test.each<[object, Partial<EventIdentity>]>([
  [
    notification,
    {
      id: "sub/lsgTZMr9KwAAA",
      type: "microsoft-graph.message.created",
      subjects: ["m", "users/u@t/messages/m", "sub"],
    },
  ],
  [missed, { type: "microsoft-graph.lifecycle.missed", subjects: ["sub"] }],
  [drive, { type: "microsoft-graph.resource.updated", subjects: ["me/drive/root", "sub"] }],
])("a notification is known by what Graph tells of it (case %#)", (item, expected) => {
  expect(identify(item)).toMatchObject({ ...expected, createdAt: null, timeUnread: false, problem: null });
});

test("what comes again is the same event where Graph tells it from the next, and else another", () => {
  const { id: _, ...without } = notification;
  const chat = { ...drive, resource: "chats('1')/messages('2')", encryptedContent: { data: "…" } };
  const created = { ...drive, changeType: "created", resourceData: { id: "1" } };
  const user = { ...drive, resourceData: { id: "1", sequenceNumber: 637616792063629857n.toString() } };
  for (const item of [notification, without, chat, created, user]) expect(identify(item).id).toBe(identify(item).id);
  for (const item of [drive, missed, { ...drive, resourceData: { id: "1" } }]) {
    expect(identify(item).id).not.toBe(identify(item).id);
  }
});

test.each<[string, Handshake]>([
  [
    "validationToken=Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+90",
    {
      contentType: "text/plain",
      body: "Validation: Testing client application reachability for subscription Request-Id: 90",
    },
  ],
  ["tenant=1&validationToken=opaque%2Btoken%C3%BC", { contentType: "text/plain", body: "opaque+tokenü" }],
  ["validationToken=", null],
  [`validationToken=${"1".repeat(1_025)}`, null],
  ["validationToken=%3Cscript%3E", null],
  ["validationToken=a%0D%0Ab", null],
  ["", null],
])("a POST to ?%s is answered with the decoded token, if Graph could have sent it", (query, expected) => {
  const asked = { ...requestOfBody(Buffer.alloc(0)), url: `/webhooks/graph?${query}` };
  const handshake = (method: "GET" | "POST", verified: boolean): Handshake =>
    source.handshake!({ ...asked, method, verified }, { signing: secrets, verifyTokens: [] });
  expect(handshake("POST", false)).toEqual(expected);
  expect(handshake("POST", true)).toBeNull();
  expect(handshake("GET", false)).toBeNull();
});
