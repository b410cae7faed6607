import { type Kysely, sql } from "kysely";

/** Due deliveries are claimed handler by handler, and those that may be what killed their worker by themselves. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    DROP INDEX deliveries_due;
    CREATE INDEX deliveries_due ON deliveries (subscriber, next_attempt_at) WHERE state IN ('pending', 'retrying');
    CREATE INDEX deliveries_interrupted ON deliveries (next_attempt_at)
     WHERE state IN ('pending', 'retrying') AND interruptions > 0`.execute(db);
}
