import inbox from "@penstock/handler-inbox";
import { testHandler } from "@penstock/handler-testing";
import { expect, test } from "vitest";

test("a message that comes before its contact, and twice, makes the rows that it would in order", async () => {
  await using t = await testHandler(inbox);
  const message = { id: "evt_1", createdAt: "2026-06-01T12:00:00Z", data: { contactId: "cnt_1", messageId: "msg_1" } };
  await t.send("message.received", message);
  await t.settle();
  await t.send("contact.created", { data: { contactId: "cnt_1", name: "Amira" }, createdAt: "2026-06-01T11:00:00Z" });
  await t.send("message.received", message);
  await t.settle();
  expect(await t.rows("messages")).toMatchObject([{ message_id: "msg_1", contact_id: "cnt_1", status: "received" }]);
  expect(await t.rows("contacts")).toMatchObject([{ contact_id: "cnt_1", name: "Amira" }]);
});
