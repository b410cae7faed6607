import { defineHandler, type HandlerContext } from "@penstock/handler-sdk";
import { sql } from "kysely";

/** The tables of the handler's own schema, `tickets`, for Kysely. */
export interface Tables {
  tickets: { conversation_id: string; first_message: string | null; opened_at: Date };
}

/** Opens a ticket for each conversation that a customer writes in. */
export default defineHandler({
  name: "tickets",
  on: ["message.received"],
  migrations: {
    "0001-tickets": {
      async up(db) {
        await sql`
          CREATE TABLE tickets (
            conversation_id text PRIMARY KEY,
            first_message text,
            opened_at timestamptz NOT NULL
          )`.execute(db);
      },
    },
  },
  async handle(event, ctx: HandlerContext<Tables>) {
    const { conversationId, messageId, body } = event.data;
    await ctx.tx
      .insertInto("tickets")
      .values({ conversation_id: conversationId ?? messageId, first_message: body ?? null, opened_at: event.createdAt })
      .onConflict((conflict) => conflict.column("conversation_id").doNothing())
      .execute();
  },
});
