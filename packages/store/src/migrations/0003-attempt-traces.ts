import { type Kysely, sql } from "kysely";

/** The span of each attempt, so that the next one can link to it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE attempts ADD COLUMN traceparent text`.execute(db);
}
