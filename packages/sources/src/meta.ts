import { sliceJson, sliceJsonItems, sliceJsonMembers } from "@penstock/schemas";
import { defineSource, type Source } from "./define-source.ts";
import { idOfParts } from "./event-key.ts";
import { findSecret } from "./find-secret.ts";
import { firstTime, type Identity } from "./identity.ts";
import { isJsonObject, parseJsonBody, toObject } from "./parse-body.ts";
import { queryOf } from "./request-url.ts";
import type { SourceOptions } from "./source-options.ts";
import { verifyHmac } from "./verify-hmac.ts";

/**
 * Meta: the WhatsApp Cloud API, Messenger, Instagram, and whatever else an app of Meta's subscribes to.
 * `X-Hub-Signature-256: sha256=<hex>` is an HMAC-SHA256 of the body, keyed with the app secret. Meta first asks by GET,
 * with the verify token that was entered there, and gets its `hub.challenge` back.
 *
 * Meta collects what happened and sends it together, each time as it likes. So each change and each messaging item is an
 * event of its own, and `data` is Meta's envelope with this one in it. Types are `meta.whatsapp.messages`,
 * `meta.whatsapp.statuses`, `meta.messenger.message`, `meta.instagram.comments`: see docs/sources.md. The id is that of
 * the message (`wamid…`, `m_…`), with the status where it is one; else a hash. Meta signs no time: deduplication is the
 * defence against replay.
 *
 * https://developers.facebook.com/docs/graph-api/webhooks/getting-started
 * https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components
 * https://developers.facebook.com/docs/messenger-platform/webhooks
 */
export function meta(options: SourceOptions = {}): Source {
  return defineSource(
    {
      provider: "meta",
      types: TYPES,
      hasVerifyToken: true,
      // What is sent again may stand among others, in an entry with another time.
      bodyVaries: true,
      verify: ({ header, body }, secrets) =>
        verifyHmac({ signatures: [header("x-hub-signature-256")], prefix: "sha256=", content: [body] }, secrets),
      handshake(request, _data, { verifyTokens }) {
        const query = queryOf(request);
        const challenge = query.get("hub.challenge");
        const asks = request.method === "GET" && query.get("hub.mode") === "subscribe";
        if (!asks || challenge === null || challenge.length > MAX_CHALLENGE_LENGTH) return null;
        const isKnown = findSecret(query.get("hub.verify_token") ?? "", verifyTokens) !== -1;
        return isKnown ? { contentType: "text/plain", body: challenge } : "refused";
      },
      split: ({ body }) => splitEntries(body),
      identify: ({ body }, { object, entry }) => identify(body, object, toObjects(entry)[0] ?? {}),
    },
    options,
  );
}

type Fields = Readonly<Record<string, unknown>>;

/** Far longer than any that Meta sends. */
const MAX_CHALLENGE_LENGTH = 1_024;

/** What an entry can list, each item an event. */
const LISTS = ["changes", "messaging", "standby"] as const;

/** How Meta's objects are called in types: what is messaged on a page is Messenger's. */
const PRODUCTS: Readonly<Record<string, { readonly changes: string; readonly messaging: string }>> = {
  whatsapp_business_account: { changes: "whatsapp", messaging: "whatsapp" },
  page: { changes: "page", messaging: "messenger" },
  instagram: { changes: "instagram", messaging: "instagram" },
};

const MESSAGING_KINDS = ["message", "message_echo", "message_deleted", "message_edit", "reaction", "read", "postback"];

/** Those to count by name. */
const TYPES = [
  ...[
    "messages",
    "statuses",
    "calls",
    "history",
    "smb_message_echoes",
    "smb_app_state_sync",
    "account_update",
    "account_alerts",
    "account_review_update",
    "business_capability_update",
    "message_template_status_update",
    "message_template_quality_update",
    "message_template_components_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "template_category_update",
    "user_preferences",
  ].map((field) => `whatsapp.${field}`),
  ...[...MESSAGING_KINDS, "delivery", "optin", "referral", "account_linking"].map((kind) => `messenger.${kind}`),
  ...[...MESSAGING_KINDS, "referral", "comments", "live_comments", "mentions", "story_insights"].map(
    (kind) => `instagram.${kind}`,
  ),
  ...["feed", "leadgen", "mention", "ratings"].map((field) => `page.${field}`),
];

/** The envelope once for each item of each list of each entry; for an entry without any, once. */
function splitEntries(body: Buffer): readonly Buffer[] {
  const envelope = toObject(parseJsonBody(body));
  const list = sliceJson(body, ["entry"]);
  // Only what parses can be cut.
  if (!Array.isArray(envelope["entry"]) || list === null) return [body];
  const entries = sliceJsonItems(list).map((entry) => ({
    entry,
    items: LISTS.flatMap((name) =>
      sliceJsonItems(sliceJson(entry, [name]) ?? NO_BYTES).map((item) => [name, item] as const),
    ),
  }));
  const count = entries.reduce((sum, { items }) => sum + Math.max(1, items.length), 0);
  if (count <= 1) return [body];

  const wrap = membersOf(body, ["entry"]);
  return entries.flatMap(({ entry, items }) => {
    if (items.length === 0) return [toJson(wrap, "entry", entry)];
    const others = membersOf(entry, LISTS);
    return items.map(([name, item]) => toJson(wrap, "entry", toJson(others, name, item)));
  });
}

const NO_BYTES = Buffer.alloc(0);

/** The members of a JSON object, in their exact bytes, without some of them. */
function membersOf(json: Buffer, without: readonly string[]): readonly Buffer[] {
  return [...sliceJsonMembers(json)]
    .filter(([name]) => !without.includes(name))
    .map(([name, value]) => Buffer.concat([Buffer.from(`${JSON.stringify(name)}:`), value]));
}

/** A JSON object of members and of a list with one item. */
function toJson(members: readonly Buffer[], list: string, item: Buffer): Buffer {
  const comma = Buffer.from(",");
  const parts = members.flatMap((member) => [member, comma]);
  return Buffer.concat([Buffer.from("{"), ...parts, Buffer.from(`${JSON.stringify(list)}:[`), item, Buffer.from("]}")]);
}

function identify(body: Buffer, object: unknown, entry: Fields): Identity {
  const list = LISTS.find((name) => toObjects(entry[name]).length > 0);
  // Instagram also sends a change whose field and value stand in the entry itself.
  const item = list === undefined ? entry : (toObjects(entry[list])[0] ?? {});
  const isMessaging = list === "messaging" || list === "standby";
  const { kind, ids, time, subjects } = isMessaging ? readMessaging(item) : readChange(item);
  const named = typeof object === "string" && Object.hasOwn(PRODUCTS, object) ? PRODUCTS[object] : undefined;
  const product = named === undefined ? object : named[isMessaging ? "messaging" : "changes"];
  const parts = [product, ...(list === "standby" ? [list] : []), ...(kind === undefined ? [] : [kind])];
  // The entry's time is that of the sending: it counts only where nothing else tells one change from the same later on.
  const exact = (): string =>
    idOfParts(...[object, entry["id"], time === undefined ? entry["time"] : ""].map(String), exactItem(body, list));
  return {
    id: ids === null ? exact() : toId(list === "standby" ? ids.map((id) => `${id}.standby`) : ids),
    type: parts.every((part) => typeof part === "string") ? parts.join(".") : null,
    createdAt: firstTime(time, entry["time"]),
    subjects: [...subjects, entry["id"]].filter((subject, at, all) => all.indexOf(subject) === at),
  };
}

/** What is read of an item; no ids where it is known by its bytes alone. */
interface Read {
  readonly kind: unknown;
  readonly ids: readonly string[] | null;
  readonly time: unknown;
  readonly subjects: readonly unknown[];
}

/** Of a change: its field is what one subscribes to. */
function readChange({ field, value }: Fields): Read {
  const fields = isJsonObject(value) ? value : {};
  const [messages, statuses] = [toObjects(fields["messages"]), toObjects(fields["statuses"])];
  const [echoes, calls] = [toObjects(fields["message_echoes"]), toObjects(fields["calls"])];
  const ids = [
    ...messages.map(({ id }) => id),
    ...echoes.map(({ id }) => join(id, "echo")),
    ...statuses.map(toStatusId),
    ...calls.map(({ id, event }) => join(id, event)),
    ...(field === "comments" || field === "live_comments" ? [join(field, fields["id"])] : []),
    ...(field === "leadgen" ? [join(field, fields["leadgen_id"])] : []),
  ];
  const [first = {}] = [...messages, ...echoes, ...statuses, ...calls];
  const [contact = {}] = toObjects(fields["contacts"]);
  const metadata = isJsonObject(fields["metadata"]) ? fields["metadata"] : {};
  const from = isJsonObject(fields["from"]) ? fields["from"] : {};
  const person = messages.includes(first) ? (first["from"] ?? first["from_user_id"]) : first["recipient_id"];
  return {
    // Meta has one field for both, which hardly anybody handles in one place.
    kind: field === "messages" && messages.length === 0 && statuses.length > 0 ? "statuses" : field,
    ids: ids.length > 0 && ids.every(isText) ? ids : null,
    time: first["timestamp"],
    subjects: [
      person ?? first["to"] ?? contact["wa_id"] ?? contact["user_id"] ?? from["id"],
      metadata["phone_number_id"],
      ...[...messages, ...echoes, ...statuses, ...calls].slice(0, MAX_MESSAGES_AS_SUBJECTS).map(({ id }) => id),
      fields["id"] ?? fields["post_id"] ?? fields["leadgen_id"],
    ],
  };
}

/** A status is told by its message; one of a group or of a payment comes several times, with other particulars. */
function toStatusId({ id, status, type, recipient_type: recipientType }: Fields): string | null {
  return type === undefined && recipientType !== "group" ? join(id, status) : null;
}

/** Of an item of Messenger or Instagram: it is named for the member that it has besides sender, recipient and time. */
function readMessaging(item: Fields): Read {
  const { sender, recipient, timestamp, message, postback } = item;
  const fields = isJsonObject(message) ? message : isJsonObject(postback) ? postback : {};
  const isEcho = fields["is_echo"] === true;
  const kind = isEcho ? "message_echo" : fields["is_deleted"] === true ? "message_deleted" : findKind(item);
  const mid = fields["mid"];
  const id = kind === "message" ? mid : join(mid, kind);
  const [person, other] = isEcho ? [recipient, sender] : [sender, recipient];
  return {
    kind,
    ids: isText(id) ? [id] : null,
    time: timestamp,
    subjects: [toPerson(person), toPerson(other), mid],
  };
}

function findKind(item: Fields): string | undefined {
  const own = (name: string): boolean => !["sender", "recipient"].includes(name) && isJsonObject(item[name]);
  return ["message", "postback"].find(own) ?? Object.keys(item).find(own);
}

function toPerson(value: unknown): unknown {
  return isJsonObject(value) ? (value["id"] ?? value["user_ref"]) : null;
}

/** The exact bytes of the item, wherever it stands. */
function exactItem(body: Buffer, list: string | undefined): Buffer {
  const [entry = NO_BYTES] = sliceJsonItems(sliceJson(body, ["entry"]) ?? NO_BYTES);
  if (list === undefined) return entry;
  return sliceJsonItems(sliceJson(entry, [list]) ?? NO_BYTES)[0] ?? NO_BYTES;
}

/** How many ids of messages an event is found by. */
const MAX_MESSAGES_AS_SUBJECTS = 8;

/** The longest id that is put together of several: what is longer is not shown whole. */
const MAX_ID_LENGTH = 256;

function toId(ids: readonly string[]): string {
  const id = ids.join(",");
  return id.length <= MAX_ID_LENGTH ? id : idOfParts(id);
}

function join(one: unknown, two: unknown): string | null {
  return isText(one) && isText(two) ? `${one}.${two}` : null;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function toObjects(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}
