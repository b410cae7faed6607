import type { AnyEvent } from "@penstock/handler-sdk";
import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import { eventually } from "@penstock/testing";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { event, type InboxUnderTest, openInbox, toDate } from "./inbox-under-test.ts";
import { arrivals, history } from "./random-history.ts";
import { moment, replay } from "./replay.ts";

const MANY = { numRuns: 60, interruptAfterTimeLimit: 100_000 };
const TIMEOUT_MS = 120_000;

let inbox: InboxUnderTest;
beforeAll(async () => {
  inbox = await openInbox();
});

/** What refers to a contact or a conversation that has no row. */
const ORPHANS = `
  SELECT * FROM (SELECT source, contact_id, conversation_id FROM inbox.messages
           UNION SELECT source, contact_id, conversation_id FROM inbox.workflow_runs
           UNION SELECT source, contact_id, conversation_id FROM inbox.conversations) AS r
   WHERE (contact_id IS NOT NULL AND NOT EXISTS (SELECT FROM inbox.contacts c
           WHERE (c.source, c.contact_id) = (r.source, r.contact_id)))
      OR (conversation_id IS NOT NULL AND NOT EXISTS (SELECT FROM inbox.conversations c
           WHERE (c.source, c.conversation_id) = (r.source, r.conversation_id)))`;

test(
  "any order, any batches and any duplicates of a history give the same tables",
  async () => {
    const schedule = history.chain((events) => fc.tuple(fc.constant(events), arrivals(events)));
    await fc.assert(
      fc.asyncProperty(schedule, async ([events, batches]) => {
        await inbox.clear();
        await inbox.batch(events);
        const expected = await inbox.tables();
        await inbox.clear();
        for (const batch of batches) await inbox.batch(batch);
        expect(await inbox.tables()).toEqual(expected);
        await inbox.one(...events);
        expect(await inbox.tables()).toEqual(expected);
        expect(await inbox.rows(ORPHANS)).toEqual([]);
      }),
      MANY,
    );
  },
  TIMEOUT_MS,
);

test(
  "the tables are those of the events applied one by one in the order in which they happened",
  async () => {
    const distinct = history.map((events) => [...new Map(events.map((each) => [String(moment(each)), each])).values()]);
    await fc.assert(
      fc.asyncProperty(distinct, async (events) => {
        await inbox.clear();
        await inbox.batch(events);
        const tables = await inbox.tables();
        for (const [table, expected] of replay(events)) {
          const found = new Map(
            tables[table]?.map((row) => [`${String(row["source"])}/${String(row[idOf(table)])}`, row]),
          );
          for (const [key, columns] of expected) expect(found.get(key)).toMatchObject(columns);
        }
      }),
      MANY,
    );
  },
  TIMEOUT_MS,
);

/** The key column of a table beside `source`. */
function idOf(table: string): string {
  return `${table.slice(0, -1)}_id`;
}

test("workers that apply shuffled, overlapping batches at once end with the same tables and without a deadlock", async () => {
  const events = Array.from({ length: 240 }, (_, n) =>
    event(BUZZBIP_EVENT_TYPES[n % BUZZBIP_EVENT_TYPES.length] ?? "message.sent", {
      id: `evt_${n}`,
      at: n,
      data: {
        contactId: `cnt_${n % 7}`,
        conversationId: `conv_${n % 11}`,
        messageId: `msg_${n % 31}`,
        runId: `run_${n % 5}`,
      },
    }),
  );
  await inbox.clear();
  await inbox.batch(events);
  const expected = await inbox.tables();
  for (const seed of [1, 2, 3, 4]) {
    await inbox.clear();
    const [one = [], two = [], three = []] = fc.sample(fc.shuffledSubarray(events, { minLength: 240 }), {
      numRuns: 3,
      seed,
    });
    await Promise.all(
      [one, two, three].map(async (order) => {
        for (let at = 0; at < order.length; at += 60) await inbox.batch(order.slice(at, at + 60));
      }),
    );
    expect(await inbox.tables()).toEqual(expected);
  }
});

test("two workers add messages to a known conversation without waiting for each other", async () => {
  const message = (id: string, at: number): AnyEvent => event("message.received", { at, data: { messageId: id } });
  await inbox.clear();
  await inbox.batch([event("contact.created"), event("conversation.opened"), message("msg_1", 1)]);
  const commit = await inbox.batchAndHold([message("msg_2", 2)]);
  await inbox.batch([message("msg_3", 3)]);
  expect(await inbox.rows("SELECT message_id FROM inbox.messages ORDER BY 1")).toEqual([
    { message_id: "msg_1" },
    { message_id: "msg_3" },
  ]);
  await commit();
  expect(await inbox.row("SELECT count(*)::int AS messages, max(created_at) AS last FROM inbox.messages")).toEqual({
    messages: 3,
    last: toDate(3),
  });
});

test("a worker that had to wait for another's row adds to what the other wrote", async () => {
  const silent = { name: undefined, email: undefined, phone: undefined, tags: undefined, fields: undefined };
  await inbox.clear();
  await inbox.batch([event("contact.created", { at: 0, data: { name: "Amira", email: "old@example.com" } })]);
  const commit = await inbox.batchAndHold([
    event("contact.updated", { at: 2, data: { ...silent, name: "Amira B.", fields: { city: "Tunis" } } }),
  ]);
  const waiting = inbox.batch([
    event("contact.updated", {
      at: 1,
      data: { ...silent, name: "Late", email: "new@example.com", fields: { vip: true } },
    }),
  ]);
  await eventually(async () => {
    expect(await inbox.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).toHaveLength(1);
  });
  await commit();
  await waiting;
  expect(await inbox.row("SELECT * FROM inbox.contacts")).toMatchObject({
    name: "Amira B.",
    email: "new@example.com",
    fields: { language: "fr", city: "Tunis", vip: true },
    updated_at: toDate(2),
  });
});

test("rows that a trigger of somebody's holds back fail the event instead of being tried for ever", async () => {
  await inbox.clear();
  await inbox.rows(`
    CREATE FUNCTION inbox.hold_back() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER hold_back BEFORE INSERT ON inbox.contacts FOR EACH ROW EXECUTE FUNCTION inbox.hold_back()`);
  await expect(inbox.batch([event("contact.created")])).rejects.toThrow("1 rows of contacts cannot be written");
  await inbox.rows("DROP FUNCTION inbox.hold_back CASCADE");
});
