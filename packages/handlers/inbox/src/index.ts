import { defineHandler } from "@penstock/handler-sdk";
import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import { applyEvents } from "./apply-events.ts";
import { erasePerson } from "./erase-person.ts";
import * as inbox from "./migrations/0001-inbox.ts";

/**
 * Keeps contacts, conversations, messages and workflow runs as tables of schema `inbox`, right in whatever order events
 * arrive. See the README for the tables and the rules.
 */
export default defineHandler({
  name: "inbox",
  on: BUZZBIP_EVENT_TYPES,
  migrations: { "0001-inbox": { up: inbox.up } },
  handle: (event, ctx) => applyEvents([event], ctx.tx),
  handleBatch: (events, ctx) => applyEvents(events, ctx.tx),
  erase: (subject, ctx) => erasePerson(subject, ctx),
});
