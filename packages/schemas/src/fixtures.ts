import type { BuzzBipEventOf, BuzzBipEventType } from "./buzzbip.ts";

/** The one sample payload of BuzzBip's documentation, byte for byte, as it would come in a request. */
export const sampleBody = `{
  "id": "evt_7f3a9b2c",
  "type": "message.received",
  "createdAt": "2026-06-01T14:32:00Z",
  "data": {
    "messageId": "msg_abc123",
    "conversationId": "conv_xyz789",
    "contactId": "cnt_def456",
    "channel": "whatsapp",
    "body": "Hello, I need help with my order",
    "from": "+21612345678"
  }
}`;

/** One realistic event of each type, all about the contact of the sample: together they tell one story. */
export const fixtures: { readonly [T in BuzzBipEventType]: BuzzBipEventOf<T> } = {
  "message.received": {
    id: "evt_7f3a9b2c",
    type: "message.received",
    createdAt: "2026-06-01T14:32:00Z",
    data: {
      messageId: "msg_abc123",
      conversationId: "conv_xyz789",
      contactId: "cnt_def456",
      channel: "whatsapp",
      body: "Hello, I need help with my order",
      from: "+21612345678",
    },
  },
  "message.sent": {
    id: "evt_4c81d0e6",
    type: "message.sent",
    createdAt: "2026-06-01T14:33:10Z",
    data: {
      messageId: "msg_bcd234",
      conversationId: "conv_xyz789",
      contactId: "cnt_def456",
      channel: "whatsapp",
      body: "Hi Amira, happy to help! Which order is it about?",
      to: "+21612345678",
      status: "delivered",
    },
  },
  "message.failed": {
    id: "evt_91be37fa",
    type: "message.failed",
    createdAt: "2026-06-01T14:41:27Z",
    data: {
      messageId: "msg_cde345",
      conversationId: "conv_xyz789",
      contactId: "cnt_def456",
      channel: "whatsapp",
      body: "Your parcel leaves today.",
      to: "+21612345678",
      status: "failed",
      error: { code: "recipient_unreachable", message: "The recipient's phone could not be reached" },
    },
  },
  "conversation.opened": {
    id: "evt_2d60fb15",
    type: "conversation.opened",
    createdAt: "2026-06-01T14:31:59Z",
    data: {
      conversationId: "conv_xyz789",
      contactId: "cnt_def456",
      channel: "whatsapp",
      status: "open",
      assigneeId: "usr_ghi789",
    },
  },
  "conversation.resolved": {
    id: "evt_e8450a93",
    type: "conversation.resolved",
    createdAt: "2026-06-01T15:04:02Z",
    data: {
      conversationId: "conv_xyz789",
      contactId: "cnt_def456",
      channel: "whatsapp",
      status: "resolved",
      assigneeId: "usr_ghi789",
    },
  },
  "contact.created": {
    id: "evt_0b7c52d8",
    type: "contact.created",
    createdAt: "2026-06-01T14:31:58Z",
    data: {
      contactId: "cnt_def456",
      name: "Amira Ben Salah",
      phone: "+21612345678",
      tags: ["lead"],
      fields: { language: "fr" },
    },
  },
  "contact.updated": {
    id: "evt_c63f198e",
    type: "contact.updated",
    createdAt: "2026-06-01T15:05:30Z",
    data: {
      contactId: "cnt_def456",
      name: "Amira Ben Salah",
      email: "amira@example.com",
      phone: "+21612345678",
      tags: ["customer", "vip"],
      fields: { language: "fr", city: "Tunis", lifetimeOrders: 4 },
    },
  },
  "workflow.triggered": {
    id: "evt_5a9e04b7",
    type: "workflow.triggered",
    createdAt: "2026-06-01T15:05:31Z",
    data: {
      workflowId: "wfl_jkl012",
      runId: "run_mno345",
      contactId: "cnt_def456",
      conversationId: "conv_xyz789",
      name: "Ask for a review",
      trigger: "automation",
      input: { orderId: "ORD-10482", delayHours: 24 },
    },
  },
};

/** What {@link makeEvent} changes: `data` is laid over the fixture's, and a field set to `undefined` is left out. */
export type EventOverrides = {
  readonly id?: string | undefined;
  readonly createdAt?: string | undefined;
  readonly data?: Readonly<Record<string, unknown>> | undefined;
};

/**
 * A new event of a type: the fixture's data, a random id (`evt_` and 16 hex digits) and the current time, with
 * `overrides` on top. It is not validated, so that overrides can make a wrong event too.
 *
 * @example
 * const event = makeEvent("message.received", { data: { body: "Where is my order?" } });
 * const body = JSON.stringify(event);
 */
export function makeEvent<T extends BuzzBipEventType>(type: T, overrides: EventOverrides = {}): BuzzBipEventOf<T> {
  // A copy through and through, or a caller who edits `tags` would edit the fixture.
  const data = { ...(JSON.parse(JSON.stringify(fixtures[type].data)) as Record<string, unknown>), ...overrides.data };
  for (const [name, value] of Object.entries(data)) if (value === undefined) delete data[name];
  return {
    id: overrides.id ?? randomId("evt"),
    type,
    createdAt: overrides.createdAt ?? new Date().toISOString(),
    data,
  } as BuzzBipEventOf<T>;
}

/**
 * A new id in BuzzBip's style: the prefix and 16 random hex digits, 64 bits.
 *
 * @example
 * randomId("msg"); // "msg_9f86d081884c7d65"
 */
export function randomId(prefix: string): string {
  // randomUUID draws its bytes in bulk, which makes it ten times as fast as asking for eight; its ends are all random.
  const uuid = crypto.randomUUID();
  return `${prefix}_${uuid.slice(0, 8)}${uuid.slice(-8)}`;
}
