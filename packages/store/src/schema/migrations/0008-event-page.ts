import { type Kysely, sql } from "kysely";

/** What the page of an event shows besides: how it came, its copies, and dry runs that were asked for there. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- How the requests of a batch came: headers that are kept, and what verified them (arrivals.ts). Apart from meta, since
    -- workers have no use for it. Null where no source of the batch keeps any.
    ALTER TABLE batches ADD COLUMN arrivals text;
    DO $$ BEGIN
      IF (SELECT 'lz4' = ANY (enumvals) FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE batches ALTER COLUMN arrivals SET COMPRESSION lz4;
      END IF;
    END $$;

    -- Copies of events that lost at the ledger. A row each: a count in one row would make workers wait for each other.
    CREATE TABLE event_copies (
      seq bigint NOT NULL,            -- of the event that was there before
      received_at timestamptz NOT NULL
    );
    CREATE INDEX event_copies_seq ON event_copies (seq);

    -- Dry runs that the console asks for: a worker has the handlers, the console has not. Rows are deleted after a day.
    CREATE TABLE dry_runs (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      day date NOT NULL,
      seq bigint NOT NULL,
      handler text NOT NULL,
      requested_at timestamptz NOT NULL DEFAULT now(),
      taken_at timestamptz,
      worker text,                    -- who has taken it
      ended_at timestamptz,
      report json                     -- what it would do; json, since jsonb refuses what an error message may hold
    );
    CREATE INDEX dry_runs_waiting ON dry_runs (requested_at) WHERE taken_at IS NULL;
  `.execute(db);
}
