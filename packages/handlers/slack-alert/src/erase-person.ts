import type { ErasedSubject } from "@penstock/handler-sdk";
import { sql, type Transaction } from "kysely";
import type { Tables } from "./tables.ts";

/** Deletes the failures that are about an id, or have a text in them. What was told to Slack stays there. */
export async function erasePerson(
  { kind, value }: Pick<ErasedSubject, "kind" | "value">,
  tx: Transaction<Tables>,
): Promise<void> {
  await sql`
    DELETE FROM failures
     WHERE ${value} IN (example->>'contactId', example->>'conversationId', example->>'messageId', example->>'eventId')
        OR ${kind !== "subject"} AND strpos(lower(concat_ws(' ', reason, message, channel)), lower(${value})) > 0`.execute(
    tx,
  );
}
