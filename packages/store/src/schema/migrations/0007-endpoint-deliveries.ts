import { type Kysely, sql } from "kysely";

/** What was sent to an endpoint is found by it, in order. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- The log of an endpoint, what has succeeded included: without it, that of one that seldom gets an event would be
    -- looked for among all deliveries. Handlers pay nothing for it.
    CREATE INDEX deliveries_endpoint ON deliveries (subscriber, day, seq) WHERE starts_with(subscriber, 'ep_');
  `.execute(db);
}
