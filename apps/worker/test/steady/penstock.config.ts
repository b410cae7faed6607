import { defineConfig, defineHandler } from "@penstock/handler-sdk";
import { sql } from "kysely";

/** Writes one row per event, many in one statement, with when it did. */
const rows = defineHandler({
  name: "rows",
  on: ["message.received"],
  migrations: {
    "1": {
      async up(db) {
        await sql`CREATE TABLE effects (event_id text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())`.execute(
          db,
        );
      },
    },
  },
  async handle(event, { tx }) {
    await tx.insertInto("effects").values({ event_id: event.id }).execute();
  },
  async handleBatch(events, { tx }) {
    await tx
      .insertInto("effects")
      .values(events.map(({ id }) => ({ event_id: id })))
      .execute();
  },
});

export default defineConfig({ handlers: [rows] });
