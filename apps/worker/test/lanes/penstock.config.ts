import { setTimeout as delay } from "node:timers/promises";
import { defineConfig, defineHandler } from "@penstock/handler-sdk";
import { sql } from "kysely";

/** What both handlers say of their lanes: the contact's. */
const lanes = {
  on: ["message.received"] as const,
  retry: { attempts: 5, baseMs: 100, capMs: 100 },
  lane: (event: { data: { contactId: string } }): string => event.data.contactId,
};

/** Writes down each event, slowly enough to be killed meanwhile; the text `fail` makes its first try fail. */
const rows = defineHandler({
  ...lanes,
  name: "rows",
  migrations: {
    "1": {
      up: async (db) =>
        void (await sql`CREATE TABLE effects (nth bigserial PRIMARY KEY, event_id text NOT NULL)`.execute(db)),
    },
  },
  async handle(event, { tx, attempt }) {
    await tx.insertInto("effects").values({ event_id: event.id }).execute();
    await delay(20);
    if (event.data.body === "fail" && attempt === 1) throw new Error("told to fail at first");
  },
});

/** Tells the world outside of each event. */
const calls = defineHandler({
  ...lanes,
  kind: "effect",
  name: "calls",
  concurrency: 4,
  async handle(event, { attempt, idempotencyKey, signal }) {
    const body = JSON.stringify({ eventId: event.id, attempt, idempotencyKey });
    const response = await fetch(new URL("calls", process.env["OUTSIDE_URL"]), { method: "POST", body, signal });
    await response.text();
    await delay(20);
    if (event.data.body === "fail" && attempt === 1) throw new Error("told to fail at first");
  },
});

export default defineConfig({ handlers: [rows, calls] });
