import { type Kysely, sql } from "kysely";

/** How much each source sends in which hour, and since when somebody listens: what tells that one has gone silent. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Accepted requests. Hours in which none came have no row. Kept for as long as the silence of a source is judged by them.
    CREATE TABLE source_hours (
      source text NOT NULL,
      hour timestamptz NOT NULL,
      requests bigint NOT NULL,
      PRIMARY KEY (source, hour)
    ) WITH (fillfactor = 70);

    ALTER TABLE source_activity
      ADD COLUMN counted_since timestamptz NOT NULL DEFAULT now(), -- before it, source_hours tells nothing of the source
      ADD COLUMN listened_at timestamptz,     -- when an ingest that has the source last reported, within a minute
      ADD COLUMN listening_since timestamptz; -- since when there has been one all the time
  `.execute(db);
}
