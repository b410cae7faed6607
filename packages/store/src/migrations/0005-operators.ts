import { type Kysely, sql } from "kysely";

/** The states that operators set, and the indexes by which deliveries that have not succeeded are found. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- A partition that was made apart and attached keeps a copy of a constraint that its parent drops.
    ALTER TABLE deliveries DROP CONSTRAINT deliveries_state_check;
    DO $$
    DECLARE part regclass;
    BEGIN
      FOR part IN SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = 'deliveries'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS deliveries_state_check', part);
      END LOOP;
    END $$;
    ALTER TABLE deliveries ADD CONSTRAINT deliveries_state_check
      CHECK (state IN ('pending', 'running', 'succeeded', 'retrying', 'dead', 'skipped', 'cancelled'));

    DROP INDEX deliveries_dead;
    CREATE INDEX deliveries_state ON deliveries (state, day, seq) WHERE state <> 'succeeded';
    CREATE INDEX deliveries_subscriber ON deliveries (subscriber, state, day, seq) WHERE state <> 'succeeded';
  `.execute(db);
}
