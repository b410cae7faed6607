import { type Kysely, sql } from "kysely";

/** A delivery's whole history, what a cancelled replay put back, and what became of events in quarantine. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Beside the tries, what operators did in between (worker is the command then), and how a delivery had ended before
    -- it was begun again: so a first success, which has no row, is not lost.
    ALTER TABLE attempts DROP CONSTRAINT attempts_outcome_check;
    DO $$
    DECLARE part regclass;
    BEGIN
      FOR part IN SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = 'attempts'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS attempts_outcome_check', part);
      END LOOP;
    END $$;
    ALTER TABLE attempts ADD CONSTRAINT attempts_outcome_check CHECK (outcome IN
      ('succeeded', 'failed', 'timed-out', 'interrupted', 'retried', 'skipped', 'cancelled'));
    ALTER TABLE attempts ADD COLUMN replay_id text;  -- the replay that had it run
    ALTER TABLE attempts ADD COLUMN note text;       -- why it was skipped, when no operator did

    ALTER TABLE replays ADD COLUMN undone bigint NOT NULL DEFAULT 0; -- handed out, and put back by cancelling it

    ALTER TABLE quarantine ADD COLUMN dismissed_at timestamptz; -- an operator is done with it
    CREATE INDEX events_replay_of ON events (replay_of) WHERE replay_of IS NOT NULL;
  `.execute(db);
}
