import { type Kysely, sql } from "kysely";

/** What retention needs: effects go with their day, the ledger is found by age, and what went is on record. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Effects by day, so that they go as the deliveries do.
    ALTER TABLE effects RENAME TO effects_before;
    ALTER INDEX effects_pkey RENAME TO effects_before_pkey;
    CREATE TABLE effects (
      day date NOT NULL,              -- of the event
      seq bigint NOT NULL,
      subscriber text NOT NULL,
      generation smallint NOT NULL,
      key text NOT NULL,
      result json NOT NULL,
      recorded_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (day, seq, subscriber, generation, key)
    ) PARTITION BY RANGE (day);

    DO $$ DECLARE part text; BEGIN
      FOR part IN SELECT right(inhrelid::regclass::text, 8) FROM pg_catalog.pg_inherits
                   WHERE inhparent = 'penstock.events'::regclass LOOP
        EXECUTE format('CREATE TABLE penstock.effects_%s PARTITION OF penstock.effects FOR VALUES FROM (%L) TO (%L)',
                       part, to_date(part, 'YYYYMMDD'), to_date(part, 'YYYYMMDD') + 1);
      END LOOP;
    END $$;

    INSERT INTO effects (day, seq, subscriber, generation, key, result, recorded_at)
    SELECT e.day, f.seq, f.subscriber, f.generation, f.key, f.result, f.recorded_at
      FROM effects_before f JOIN events e ON e.seq = f.seq;
    DROP TABLE effects_before;

    -- Keys are appended in the order of their days, so that this stays tiny. It costs an insert next to nothing.
    CREATE INDEX event_keys_day ON event_keys USING brin (day) WITH (autosummarize = on);
    CREATE INDEX event_copies_age ON event_copies USING brin (received_at) WITH (autosummarize = on);

    -- How long what is kept: as the worker that started last has it. One row.
    CREATE TABLE retention_policy (
      policy jsonb NOT NULL,
      told_at timestamptz NOT NULL DEFAULT now(),
      told_by text NOT NULL
    );
    CREATE UNIQUE INDEX retention_policy_one ON retention_policy ((true));

    -- How many events of which type a day has that is over: read once from its events, and once more when some have gone.
    CREATE TABLE retention_counts (
      day date NOT NULL,
      source text NOT NULL,
      type text NOT NULL,             -- empty: none
      events bigint NOT NULL,
      PRIMARY KEY (day, source, type)
    );

    -- What went: events of a day, all of them or some. It tells what became of an event whose key is in the ledger.
    CREATE TABLE retention_log (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      day date NOT NULL,
      at timestamptz NOT NULL DEFAULT now(),
      why text NOT NULL CHECK (why IN ('age', 'bytes')),
      went bigint NOT NULL,           -- events
      kept bigint NOT NULL,           -- 0: the whole day went
      bytes bigint NOT NULL,          -- that were freed
      first_seq bigint,               -- of the events that the day had; null: none
      last_seq bigint,
      took_ms integer NOT NULL,
      by text NOT NULL                -- a worker, or an operator
    );
    CREATE INDEX retention_log_day ON retention_log (day, at);
  `.execute(db);
}
