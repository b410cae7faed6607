import { defineConfig, defineHandler, PermanentError } from "@penstock/handler-sdk";

/** Handles what it gets, unless the body of a message asks it to fail. */
const tickets = defineHandler({
  name: "tickets",
  on: ["message.received", "contact.created"],
  handle(event) {
    if (event.type === "message.received" && event.data.body === "fail") throw new PermanentError("asked to fail");
  },
});

/** The same in order, contact by contact: a dead letter blocks its lane. */
const ordered = defineHandler({
  name: "ordered",
  on: ["message.received"],
  lane: (event) => event.data.contactId,
  order: "strict",
  onDead: "block",
  handle(event) {
    if (event.data.body === "fail") throw new PermanentError("asked to fail");
  },
});

export default defineConfig({ handlers: [tickets, ordered] });
