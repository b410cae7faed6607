import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE replied (
      source text NOT NULL,
      conversation_id text NOT NULL,
      day date NOT NULL,
      seq bigint NOT NULL,
      PRIMARY KEY (source, conversation_id, day)
    )`.execute(db);
  await sql`CREATE INDEX ON replied (day)`.execute(db);
}
