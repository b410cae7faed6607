import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE hourly (
      hour timestamptz NOT NULL,
      source text NOT NULL,
      type text NOT NULL,
      channel text NOT NULL,
      events bigint NOT NULL,
      PRIMARY KEY (hour, source, type, channel)
    )`.execute(db);
  // Which events have been counted: one that is replayed is not counted again.
  await sql`CREATE TABLE counted (seq bigint PRIMARY KEY, hour timestamptz NOT NULL)`.execute(db);
  await sql`
    CREATE VIEW daily AS
    SELECT (hour AT TIME ZONE 'UTC')::date AS day, source, type, channel, sum(events)::bigint AS events
      FROM hourly GROUP BY 1, 2, 3, 4`.execute(db);
}
