import { type Kysely, sql } from "kysely";

/** An endpoint keeps its last error: when that was says whether it is over. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE endpoints ADD COLUMN last_error_at timestamptz; -- null: without an error, or it came before this column
  `.execute(db);
}
