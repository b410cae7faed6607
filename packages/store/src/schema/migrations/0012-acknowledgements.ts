import { type Kysely, sql } from "kysely";

/** How long acknowledgements took, minute by minute, for the Overview. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Each ingest adds to the minute's row every few seconds; minutes older than a day are deleted as others come.
    CREATE TABLE acknowledgement_minutes (
      minute timestamptz NOT NULL,
      up_to_ms double precision[] NOT NULL, -- the upper ends of the buckets, without the last, which has none
      counts bigint[] NOT NULL,             -- acknowledgements by bucket
      unavailable bigint NOT NULL,          -- answers 503
      -- Two versions of ingest may have different buckets.
      PRIMARY KEY (minute, up_to_ms)
    ) WITH (fillfactor = 50);
  `.execute(db);
}
