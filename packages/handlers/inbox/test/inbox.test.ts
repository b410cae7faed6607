import type { AnyEvent } from "@penstock/handler-sdk";
import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { event, type InboxUnderTest, openInbox, toDate } from "./inbox-under-test.ts";

let inbox: InboxUnderTest;
beforeAll(async () => {
  inbox = await openInbox();
});
beforeEach(() => inbox.clear());

const contact = (): Promise<Record<string, unknown>> => inbox.row("SELECT * FROM inbox.contacts");
const conversation = (): Promise<Record<string, unknown>> => inbox.row("SELECT * FROM inbox.conversations");
const message = (): Promise<Record<string, unknown>> => inbox.row("SELECT * FROM inbox.messages");

const nothing = { name: undefined, email: undefined, phone: undefined, tags: undefined, fields: undefined };

/** Every order in which a few events can come. */
function orders(events: readonly AnyEvent[]): AnyEvent[][] {
  if (events.length < 2) return [[...events]];
  return events.flatMap((first) => orders(events.filter((other) => other !== first)).map((rest) => [first, ...rest]));
}

/** Asserts after every order of the events, one by one and all in one batch. */
async function inEveryOrder(events: readonly AnyEvent[], assert: () => Promise<void>): Promise<void> {
  for (const order of orders(events)) {
    for (const apply of [() => inbox.one(...order), () => inbox.batch(order)]) {
      await inbox.clear();
      await apply();
      await assert();
    }
  }
}

test("one event of each type makes the rows that one would expect", async () => {
  await inbox.batch(BUZZBIP_EVENT_TYPES.map((type, at) => event(type, { at, id: `evt_${at}` })));
  expect(await inbox.tables()).toEqual({
    contacts: [
      {
        source: "buzzbip",
        contact_id: "cnt_def456",
        name: "Amira Ben Salah",
        email: "amira@example.com",
        phone: "+21612345678",
        tags: ["customer", "vip"],
        fields: { language: "fr", city: "Tunis", lifetimeOrders: 4 },
        created_at: toDate(5),
        updated_at: toDate(6),
        first_seen_at: toDate(0),
        versions: expect.objectContaining({ newest: "2026-06-01T10:00:06.000Z 1 evt_6" }),
      },
    ],
    conversations: [
      {
        source: "buzzbip",
        conversation_id: "conv_xyz789",
        contact_id: "cnt_def456",
        status: "resolved",
        channel: "whatsapp",
        subject: null,
        assignee_id: "usr_ghi789",
        opened_at: toDate(3),
        resolved_at: toDate(4),
        updated_at: toDate(4),
        first_seen_at: toDate(0),
        versions: { newest: "2026-06-01T10:00:04.000Z 1 evt_4" },
      },
    ],
    messages: [
      expect.objectContaining({ message_id: "msg_abc123", direction: "inbound", status: "received" }),
      expect.objectContaining({ message_id: "msg_bcd234", direction: "outbound", status: "sent" }),
      {
        source: "buzzbip",
        message_id: "msg_cde345",
        conversation_id: "conv_xyz789",
        contact_id: "cnt_def456",
        direction: "outbound",
        status: "failed",
        status_at: toDate(2),
        provider_status: "failed",
        error_code: "recipient_unreachable",
        error_message: "The recipient's phone could not be reached",
        channel: "whatsapp",
        body: "Your parcel leaves today.",
        sender: null,
        recipient: "+21612345678",
        created_at: toDate(2),
        versions: { newest: "2026-06-01T10:00:02.000Z 1 evt_2" },
      },
    ],
    workflow_runs: [
      {
        source: "buzzbip",
        run_id: "run_mno345",
        workflow_id: "wfl_jkl012",
        contact_id: "cnt_def456",
        conversation_id: "conv_xyz789",
        name: "Ask for a review",
        triggered_by: "automation",
        input: { orderId: "ORD-10482", delayHours: 24 },
        triggered_at: toDate(7),
        versions: { newest: "2026-06-01T10:00:07.000Z 0 evt_7" },
      },
    ],
  });
});

test("the same event twice leaves the same rows, by handle and by handleBatch", async () => {
  const events = BUZZBIP_EVENT_TYPES.map((type, at) => event(type, { at }));
  await inbox.one(...events);
  const once = await inbox.tables();
  await inbox.batch([...events, ...events]);
  await inbox.one(...events);
  expect(await inbox.tables()).toEqual(once);
});

describe("contacts", () => {
  test("an old contact.updated after a new one changes nothing that is newer, and fills in what is not", async () => {
    const older = event("contact.updated", { at: 1, data: { ...nothing, name: "Old", email: "old@example.com" } });
    const newer = event("contact.updated", { at: 2, data: { ...nothing, name: "New", tags: ["vip"] } });
    await inEveryOrder([older, newer], async () => {
      expect(await contact()).toMatchObject({
        name: "New",
        email: "old@example.com",
        tags: ["vip"],
        updated_at: toDate(2),
      });
    });
  });

  test("what was created and updated in the same second is as updated", async () => {
    const created = event("contact.created", { id: "evt_b", at: 1, data: { name: "Created" } });
    const updated = event("contact.updated", { id: "evt_a", at: 1, data: { name: "Updated" } });
    await inEveryOrder([created, updated], async () => {
      expect(await contact()).toMatchObject({ name: "Updated", created_at: toDate(1) });
    });
  });

  test("of two updates at the same time, the one with the greater event id counts", async () => {
    const a = event("contact.updated", { id: "evt_a", at: 1, data: { name: "A" } });
    const b = event("contact.updated", { id: "evt_b", at: 1, data: { name: "B" } });
    await inEveryOrder([a, b], async () => {
      expect(await contact()).toMatchObject({ name: "B" });
    });
  });

  test("a field that is missing or null says nothing, an empty one says that there is none", async () => {
    await inbox.one(
      event("contact.created", { at: 1, data: { name: "Amira", email: "a@example.com", tags: ["lead"] } }),
      event("contact.updated", { at: 2, data: { name: undefined, email: null, phone: "", tags: [], fields: null } }),
    );
    expect(await contact()).toMatchObject({
      name: "Amira",
      email: "a@example.com",
      phone: "",
      tags: [],
      fields: { language: "fr" },
    });
  });

  test("each of the workspace's own fields keeps its latest value, null included", async () => {
    const first = event("contact.created", { at: 1, data: { fields: { language: "fr", city: "Sfax" } } });
    const second = event("contact.updated", { at: 2, data: { fields: { city: "Tunis", orders: 1 } } });
    const third = event("contact.updated", { at: 3, data: { fields: { orders: null } } });
    await inEveryOrder([first, second, third], async () => {
      expect(await contact()).toMatchObject({ fields: { language: "fr", city: "Tunis", orders: null } });
    });
  });

  test("the same id in two sources is two contacts", async () => {
    await inbox.batch([
      event("contact.created", { source: "buzzbip", data: { name: "One" } }),
      event("contact.created", { source: "buzzbip-2", data: { name: "Two" } }),
    ]);
    expect(await inbox.rows("SELECT source, name FROM inbox.contacts ORDER BY 1")).toEqual([
      { source: "buzzbip", name: "One" },
      { source: "buzzbip-2", name: "Two" },
    ]);
  });
});

describe("conversations", () => {
  const opened = event("conversation.opened", { at: 1 });
  const resolved = event("conversation.resolved", { at: 2 });
  const reopened = event("conversation.opened", { at: 3 });

  test("one that is resolved before its opening arrives stays resolved, and learns when it was opened", async () => {
    await inbox.one(resolved);
    expect(await conversation()).toMatchObject({ status: "resolved", opened_at: null, resolved_at: toDate(2) });
    await inbox.one(opened);
    expect(await conversation()).toMatchObject({ status: "resolved", opened_at: toDate(1), resolved_at: toDate(2) });
  });

  test("one that was opened, resolved and opened again is open", async () => {
    await inEveryOrder([opened, resolved, reopened], async () => {
      expect(await conversation()).toMatchObject({ status: "open", opened_at: toDate(3), resolved_at: toDate(2) });
    });
  });

  test("one that was opened and resolved in the same second is resolved", async () => {
    const atOnce = [
      event("conversation.opened", { id: "evt_b", at: 1 }),
      event("conversation.resolved", { id: "evt_a", at: 1 }),
    ];
    await inEveryOrder(atOnce, async () => {
      expect(await conversation()).toMatchObject({ status: "resolved" });
    });
  });

  test("a message of an unknown conversation makes it and its contact known", async () => {
    await inbox.one(event("message.received", { at: 5 }));
    expect(await conversation()).toMatchObject({
      contact_id: "cnt_def456",
      channel: "whatsapp",
      status: null,
      opened_at: null,
      first_seen_at: toDate(5),
    });
    expect(await contact()).toMatchObject({
      contact_id: "cnt_def456",
      name: null,
      created_at: null,
      first_seen_at: toDate(5),
    });
  });

  test("what an event says of a conversation counts for more than what its messages give away", async () => {
    const of = (contactId: string): { data: { contactId: string } } => ({ data: { contactId } });
    const events = [
      event("conversation.opened", { at: 1, ...of("cnt_1") }),
      event("message.received", { at: 2, ...of("cnt_2") }),
      event("message.sent", { at: 3, ...of("cnt_0") }),
    ];
    await inEveryOrder(events, async () => {
      expect(await conversation()).toMatchObject({ contact_id: "cnt_1" });
    });
  });

  test("an event without contact leaves the contact that is known", async () => {
    await inEveryOrder(
      [opened, event("conversation.resolved", { at: 2, data: { contactId: undefined } })],
      async () => {
        expect(await conversation()).toMatchObject({ contact_id: "cnt_def456", status: "resolved" });
      },
    );
  });
});

describe("messages", () => {
  const same = { messageId: "msg_1" };

  test("one that was sent and then failed is failed, and keeps its text", async () => {
    const sent = event("message.sent", { at: 1, data: { ...same, body: "Hello" } });
    const failed = event("message.failed", { at: 2, data: { ...same, body: undefined, error: { code: 131026 } } });
    await inEveryOrder([sent, failed], async () => {
      expect(await message()).toMatchObject({
        status: "failed",
        status_at: toDate(2),
        error_code: "131026",
        body: "Hello",
        created_at: toDate(1),
      });
    });
  });

  test("one that failed and was then sent is sent, without the error", async () => {
    const failed = event("message.failed", { at: 1, data: same });
    const sent = event("message.sent", { at: 2, data: same });
    await inEveryOrder([failed, sent], async () => {
      expect(await message()).toMatchObject({ status: "sent", error_code: null, error_message: null });
    });
  });
});

test("a workflow run without an id is told apart by its event", async () => {
  const run = (id: string): AnyEvent => event("workflow.triggered", { id, data: { runId: undefined } });
  await inbox.batch([run("evt_1"), run("evt_2"), run("evt_1")]);
  expect(await inbox.rows("SELECT run_id FROM inbox.workflow_runs ORDER BY 1")).toEqual([
    { run_id: "event:evt_1" },
    { run_id: "event:evt_2" },
  ]);
});

test("what a workflow run mentions becomes known", async () => {
  await inbox.one(event("workflow.triggered", { at: 4 }));
  expect(await contact()).toMatchObject({ contact_id: "cnt_def456", first_seen_at: toDate(4) });
  expect(await conversation()).toMatchObject({
    conversation_id: "conv_xyz789",
    contact_id: null,
    first_seen_at: toDate(4),
  });
});

describe("a provider's clock that is ahead", () => {
  const fromTheFuture = event("contact.updated", {
    id: "evt_future",
    at: "9999-12-31T23:59:59Z",
    receivedAt: 0,
    data: { name: "Future" },
  });

  test("wins for five minutes and not for ever", async () => {
    const soon = event("contact.updated", { at: 299, data: { name: "Soon" } });
    const later = event("contact.updated", { at: 301, data: { name: "Later" } });
    await inEveryOrder([fromTheFuture, soon], async () => {
      expect(await contact()).toMatchObject({ name: "Future", updated_at: toDate(300) });
    });
    await inEveryOrder([fromTheFuture, soon, later], async () => {
      expect(await contact()).toMatchObject({ name: "Later", updated_at: toDate(301) });
    });
  });

  test("is believed up to five minutes, and is kept as it was in the version", async () => {
    await inbox.one(fromTheFuture);
    expect(await contact()).toMatchObject({
      versions: { newest: "2026-06-01T10:05:00.000Z<9999-12-31T23:59:59.000Z 1 evt_future" },
    });
    await inbox.one(event("contact.updated", { id: "evt_ahead", at: 500, receivedAt: 200, data: { name: "Ahead" } }));
    expect(await contact()).toMatchObject({
      name: "Ahead",
      versions: { newest: "2026-06-01T10:08:20.000Z 1 evt_ahead" },
    });
  });

  test("still orders events that were received together", async () => {
    const at = (time: string): { at: string; receivedAt: number } => ({ at: time, receivedAt: 0 });
    const opened = event("conversation.opened", { id: "evt_b", ...at("2030-01-01T00:00:02Z") });
    const resolved = event("conversation.resolved", { id: "evt_a", ...at("2030-01-01T00:00:01Z") });
    await inEveryOrder([opened, resolved], async () => {
      expect(await conversation()).toMatchObject({ status: "open" });
    });
  });
});

test.each([
  { what: "a NUL character", text: "before\0after", stored: "before\uFFFDafter" },
  { what: "half of a surrogate pair", text: "\ud83dx", stored: "\uFFFDx" },
  { what: "a backslash before what looks like an escape", text: "\\u0000 \\\\ud83d", stored: "\\u0000 \\\\ud83d" },
  { what: "a whole emoji", text: "👍", stored: "👍" },
  { what: "more than an index can hold", text: "x".repeat(300_000), stored: "x".repeat(300_000) },
])("$what in a text is stored, as far as Postgres can", async ({ text, stored }) => {
  await inbox.batch([
    event("message.received", { data: { body: text } }),
    event("contact.created", {
      id: text,
      data: { name: text, email: text, phone: text, tags: [text], fields: { [text]: text } },
    }),
    event("workflow.triggered", { id: text, data: { runId: undefined, name: text, input: { [text]: [text] } } }),
  ]);
  expect(await message()).toMatchObject({ body: stored });
  expect(await contact()).toMatchObject({ name: stored, tags: [stored], fields: { [stored]: stored } });
  expect(await inbox.row("SELECT input FROM inbox.workflow_runs")).toEqual({ input: { [stored]: [stored] } });
});

describe("open_conversations", () => {
  const open = (): Promise<Record<string, unknown>[]> =>
    inbox.rows("SELECT * FROM inbox.open_conversations ORDER BY waiting_since NULLS LAST, conversation_id");
  const said = (messageId: string, body: string): { data: { messageId: string; body: string } } => ({
    data: { messageId, body },
  });

  test("shows who waits for an answer, since when, and what was said last", async () => {
    await inbox.batch([
      event("contact.created", { at: 0 }),
      event("conversation.opened", { at: 0 }),
      event("message.received", { at: 1, ...said("msg_1", "Hello?") }),
      event("message.sent", { at: 2, ...said("msg_2", "Hi!") }),
      event("message.received", { at: 3, ...said("msg_3", "My order") }),
      event("message.failed", { at: 4, ...said("msg_4", "On its way") }),
      event("message.received", { at: 5, ...said("msg_5", "Anybody?") }),
    ]);
    expect(await open()).toMatchObject([
      {
        contact_name: "Amira Ben Salah",
        last_message_body: "Anybody?",
        last_message_at: toDate(5),
        unanswered: "2",
        waiting_since: toDate(3),
      },
    ]);
  });

  test("leaves out what is resolved and shows what was only mentioned", async () => {
    await inbox.batch([
      event("conversation.opened", { at: 1, data: { conversationId: "conv_1" } }),
      event("conversation.resolved", { at: 2, data: { conversationId: "conv_2" } }),
      event("message.received", { at: 3, data: { conversationId: "conv_3" } }),
    ]);
    expect(await open()).toMatchObject([
      { conversation_id: "conv_3", unanswered: "1", waiting_since: toDate(3) },
      { conversation_id: "conv_1", unanswered: "0", waiting_since: null, last_message_at: null },
    ]);
  });
});
