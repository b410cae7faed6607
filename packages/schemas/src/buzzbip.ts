import { z } from "zod";
import { envelopeSchema } from "./envelope.ts";
import { isStorableText } from "./storable-text.ts";

/** The longest id inside `data` that is understood, in UTF-16 code units: ids become index keys, which are limited. */
export const MAX_DATA_ID_LENGTH = 256;

const id = z
  .string()
  .min(1)
  .max(MAX_DATA_ID_LENGTH)
  .refine(isStorableText, "must hold no NUL character and no half of a surrogate pair");

// The document shows one payload of eight, so only the ids that a type implies are required. The rest may be missing or
// null, which senders use interchangeably; a wrong type there means that we misread the protocol, and is quarantined.
const text = z.string().nullish();
const optionalId = id.nullish();

const messageData = {
  messageId: id,
  conversationId: id,
  contactId: id,
  channel: text,
  body: text,
  from: text,
  to: text,
  status: text,
};

const conversationData = {
  conversationId: id,
  contactId: optionalId,
  channel: text,
  status: text,
  subject: text,
  assigneeId: text,
};

const contactData = {
  contactId: id,
  name: text,
  email: text,
  phone: text,
  tags: z.array(z.string()).nullish(),
  fields: z.record(z.string(), z.unknown()).nullish(),
};

/** Why a message was not delivered. Messaging channels number their errors, so `code` may be a number. */
const failure = z.looseObject({ code: z.union([z.string(), z.number()]).nullish(), message: text });

function event<const T extends string, Data extends z.core.$ZodLooseShape>(type: T, data: Data) {
  return z.looseObject({ ...envelopeSchema.shape, type: z.literal(type), data: z.looseObject(data) });
}

const messageReceived = event("message.received", messageData);
const messageSent = event("message.sent", messageData);
const messageFailed = event("message.failed", { ...messageData, error: failure.nullish() });
const conversationOpened = event("conversation.opened", conversationData);
const conversationResolved = event("conversation.resolved", conversationData);
const contactCreated = event("contact.created", contactData);
const contactUpdated = event("contact.updated", contactData);
const workflowTriggered = event("workflow.triggered", {
  workflowId: id,
  runId: optionalId,
  contactId: optionalId,
  conversationId: optionalId,
  name: text,
  trigger: text,
  input: z.unknown().optional(),
});

/** The eight event types that BuzzBip documents, in the document's order. */
export const BUZZBIP_EVENT_TYPES = [
  "message.received",
  "message.sent",
  "message.failed",
  "conversation.opened",
  "conversation.resolved",
  "contact.created",
  "contact.updated",
  "workflow.triggered",
] as const;

/** The name of one of BuzzBip's eight event types. */
export type BuzzBipEventType = (typeof BUZZBIP_EVENT_TYPES)[number];

/**
 * Any BuzzBip event, told apart by `type`. Required ids are checked, other fields are typed where known and may be
 * missing or null, unknown fields are kept.
 *
 * @example
 * if (event.type === "message.failed") log.info({ code: event.data.error?.code }, "message failed");
 */
export const buzzbipEventSchema = z.discriminatedUnion("type", [
  messageReceived,
  messageSent,
  messageFailed,
  conversationOpened,
  conversationResolved,
  contactCreated,
  contactUpdated,
  workflowTriggered,
]);

/** Any BuzzBip event; narrows by `type`. */
export type BuzzBipEvent = z.infer<typeof buzzbipEventSchema>;

/**
 * The event of one type.
 *
 * @example
 * function onReceived(event: BuzzBipEventOf<"message.received">) { return event.data.body ?? ""; }
 */
export type BuzzBipEventOf<T extends BuzzBipEventType> = Extract<BuzzBipEvent, { type: T }>;

/**
 * The schema of each type. Look types up with `Object.hasOwn` or `isBuzzBipEventType`: a sender may well name an event
 * `constructor`.
 *
 * @example
 * buzzbipEventSchemas["contact.created"].safeParse(JSON.parse(body));
 */
export const buzzbipEventSchemas: { readonly [T in BuzzBipEventType]: z.ZodType<BuzzBipEventOf<T>> } = {
  "message.received": messageReceived,
  "message.sent": messageSent,
  "message.failed": messageFailed,
  "conversation.opened": conversationOpened,
  "conversation.resolved": conversationResolved,
  "contact.created": contactCreated,
  "contact.updated": contactUpdated,
  "workflow.triggered": workflowTriggered,
};

/** Whether a string names one of the eight event types. */
export function isBuzzBipEventType(type: string): type is BuzzBipEventType {
  return Object.hasOwn(buzzbipEventSchemas, type);
}
