import { type Kysely, sql } from "kysely";

/** Deliveries that may be what killed their worker, to be found among any number that are due: nearly always none. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE INDEX deliveries_interrupted ON deliveries (next_attempt_at)
     WHERE state IN ('pending', 'retrying') AND interruptions > 0`.execute(db);
}
