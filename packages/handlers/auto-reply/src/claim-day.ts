import type { EventOf } from "@penstock/handler-sdk";
import { sql, type Transaction } from "kysely";
import type { Tables } from "./tables.ts";

type Received = EventOf<"message.received">;

/**
 * Takes a conversation's day for a message; false when another message has it. Of several at the same moment the first to
 * commit gets it.
 */
export async function claimDay(
  { source, seq, data }: Received,
  day: string,
  tx: Transaction<Tables>,
): Promise<boolean> {
  // Nobody asks for a day again that is older than the oldest message that is answered.
  await sql`DELETE FROM replied WHERE day < ${day}::date - 3`.execute(tx);
  const claimed = await tx
    .insertInto("replied")
    .values({ source, conversation_id: data.conversationId, day, seq })
    .onConflict((conflict) =>
      // Its own, when an operator has it done anew.
      conflict
        .columns(["source", "conversation_id", "day"])
        .doUpdateSet({ seq: String(seq) })
        .where("replied.seq", "=", String(seq)),
    )
    .executeTakeFirst();
  return claimed.numInsertedOrUpdatedRows === 1n;
}

/** Gives back what a message has taken. */
export async function releaseDay({ source, seq, data }: Received, tx: Transaction<Tables>): Promise<void> {
  await tx
    .deleteFrom("replied")
    .where("source", "=", source)
    .where("conversation_id", "=", data.conversationId)
    .where("seq", "=", String(seq))
    .execute();
}
