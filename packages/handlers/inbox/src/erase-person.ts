import type { ErasedSubject, EraseContext } from "@penstock/handler-sdk";
import { sql } from "kysely";

/**
 * Deletes the rows of a contact, found by its id, phone or mail, with its conversations, messages and workflow runs; of another id
 * the rows that have it. An event about the contact that comes later makes new rows.
 */
export async function erasePerson(
  { kind, value }: Pick<ErasedSubject, "kind" | "value">,
  { tx }: Pick<EraseContext<unknown>, "tx">,
): Promise<void> {
  // In the order in which events are written: see tables.ts.
  const contacts = await sql<{ source: string; contact_id: string }>`
    DELETE FROM contacts WHERE contact_id = ${value} OR phone = ${value} OR lower(email) = lower(${value})
    RETURNING source, contact_id`.execute(tx);
  const sources = contacts.rows.map(({ source }) => source);
  const ids = contacts.rows.map(({ contact_id: id }) => id);
  // A contact may be known by what mentions it alone.
  const ofPerson = sql`((source, contact_id) IN (SELECT * FROM unnest(${sources}::text[], ${ids}::text[])) OR contact_id = ${value})`;
  const conversations = await sql<{ source: string; conversation_id: string }>`
    DELETE FROM conversations WHERE ${ofPerson} OR conversation_id = ${value}
    RETURNING source, conversation_id`.execute(tx);
  await sql`
    DELETE FROM messages USING unnest(${conversations.rows.map(({ source }) => source)}::text[],
                                      ${conversations.rows.map(({ conversation_id: id }) => id)}::text[]) AS c (of, id)
     WHERE source = c.of AND conversation_id = c.id`.execute(tx);
  await sql`
    DELETE FROM messages WHERE ${ofPerson} OR message_id = ${value} OR sender = ${value} OR recipient = ${value}`.execute(
    tx,
  );
  await sql`DELETE FROM workflow_runs WHERE ${ofPerson} OR run_id = ${value}`.execute(tx);
  if (kind === "subject") return;
  // Somebody else may have written it.
  await sql`UPDATE messages SET body = '[erased]' WHERE strpos(lower(body), lower(${value})) > 0`.execute(tx);
}
