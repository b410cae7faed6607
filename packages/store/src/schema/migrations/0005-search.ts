import { type Kysely, sql } from "kysely";

/** What a search looks at before it looks at events: per run of events, which words may stand in them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Written once, a moment after the events were recorded; a run is a part of one batch.
    CREATE TABLE event_words (
      day date NOT NULL,
      seq bigint NOT NULL,            -- of the first event of the run
      last_seq bigint NOT NULL,
      events smallint NOT NULL,       -- how many were recorded, copies left out
      received_at timestamptz NOT NULL,
      words bytea,                    -- a Bloom filter (event-words.ts); null: the run is always looked at
      -- For counts over time, which read the index alone.
      PRIMARY KEY (day, seq) INCLUDE (received_at, events)
    ) PARTITION BY RANGE (day);
    -- A filter fits into its row, and is as dense as it can be: it is neither moved out nor compressed.
    ALTER TABLE event_words ALTER COLUMN words SET STORAGE PLAIN;

    DO $$ DECLARE part text; BEGIN
      FOR part IN SELECT right(inhrelid::regclass::text, 8) FROM pg_catalog.pg_inherits
                   WHERE inhparent = 'penstock.events'::regclass LOOP
        EXECUTE format('CREATE TABLE penstock.event_words_%s PARTITION OF penstock.event_words FOR VALUES FROM (%L) TO (%L)',
                       part, to_date(part, 'YYYYMMDD'), to_date(part, 'YYYYMMDD') + 1);
      END LOOP;
    END $$;

    -- Nobody knows the words of what was recorded before.
    INSERT INTO event_words (day, seq, last_seq, events, received_at)
    SELECT day, batch * 1024, batch * 1024 + 1023, events, received_at FROM batches b
     WHERE NOT EXISTS (SELECT FROM pending p WHERE p.batch = b.batch);
  `.execute(db);
}
