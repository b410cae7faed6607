import { testHandler } from "@penstock/handler-testing";
import { expect, test } from "vitest";
import tickets from "./tickets.ts";

test("a conversation gets one ticket, however many messages it has", async () => {
  await using t = await testHandler(tickets);
  const conversationId = "cnv_1";
  await t.send("message.received", { data: { conversationId, body: "hello" }, createdAt: "2026-06-01T12:00:00Z" });
  await t.settle();
  await t.send("message.received", { data: { conversationId, body: "anybody there?" } });
  await t.settle();
  const opened_at = new Date("2026-06-01T12:00:00Z");
  expect(await t.rows("tickets")).toEqual([{ conversation_id: "cnv_1", first_message: "hello", opened_at }]);
});
