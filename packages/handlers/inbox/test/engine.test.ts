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

test.each([
  ["the id of a contact", { kind: "subject", value: "cnt_1" }],
  ["a phone number", { kind: "value", value: "+393331234567" }],
  ["a value at a path", { kind: "where", value: "ADA@example.com", path: "data.email" }],
] as const)("whoever is erased by %s is in no table any more, and others are", async (_, wanted) => {
  await using t = await testHandler(inbox);
  const phone = "+393331234567";
  for (const [contactId, of] of [
    ["cnt_1", { phone, email: "ada@example.com" }],
    ["cnt_2", { phone: "+3900", email: "bo@example.com" }],
  ] as const) {
    const conversationId = `conv_${contactId}`;
    await t.send("contact.created", { data: { contactId, ...of } });
    await t.send("message.received", {
      data: { contactId, conversationId, messageId: `msg_${contactId}`, from: of.phone },
    });
    await t.send("workflow.triggered", { data: { contactId, conversationId, runId: `run_${contactId}` } });
  }
  await t.settle();
  await t.erase({ path: null, sources: ["buzzbip"], ...wanted });
  for (const table of ["contacts", "conversations", "messages", "workflow_runs"]) {
    expect(await t.rows(table)).toMatchObject([{ contact_id: "cnt_2" }]);
  }
  await t.erase({ path: null, sources: ["buzzbip"], ...wanted });
});
