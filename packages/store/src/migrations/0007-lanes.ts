import { type Kysely, sql } from "kysely";

/** Lanes: deliveries of one handler that share a key and run in order, one at a time. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE deliveries ADD COLUMN lane text COLLATE "C";     -- null: it has no lane, or none is known yet
    ALTER TABLE deliveries ADD COLUMN lane_at timestamptz;       -- with seq, its place in the lane
    ALTER TABLE deliveries ADD COLUMN late boolean NOT NULL DEFAULT false; -- its lane had applied a newer one before
    ALTER TABLE deliveries ADD COLUMN skip_reason text;          -- why it was skipped, when no operator did

    -- How its deliveries are put in lanes; null without.
    ALTER TABLE handlers ADD COLUMN lane_order text CHECK (lane_order IN ('strict', 'newest-wins'));
    ALTER TABLE handlers ADD COLUMN on_dead text CHECK (on_dead IN ('block', 'continue'));

    -- What holds a lane's lock and its mark. Whoever changes what a lane's next delivery may depend on locks the row and
    -- counts the change.
    CREATE TABLE lanes (
      subscriber text NOT NULL,
      lane text COLLATE "C" NOT NULL,
      changes bigint NOT NULL DEFAULT 0,
      applied_at timestamptz,         -- with applied_seq, the place of the newest that succeeded; never past that moment
      applied_seq bigint,
      PRIMARY KEY (subscriber, lane)
    ) WITH (fillfactor = 80);

    -- What waits in a lane has no next_attempt_at, except for at least one delivery that wakes the lane: a lane costs one
    -- look, however many wait in it.
    DROP INDEX deliveries_due;
    CREATE INDEX deliveries_due ON deliveries (subscriber, next_attempt_at)
     WHERE state IN ('pending', 'retrying') AND lane IS NULL;
    CREATE INDEX deliveries_wake ON deliveries (subscriber, next_attempt_at)
     WHERE state IN ('pending', 'retrying') AND lane IS NOT NULL AND next_attempt_at IS NOT NULL;
    CREATE INDEX deliveries_lane ON deliveries (subscriber, lane, state, lane_at, seq)
     WHERE lane IS NOT NULL AND state IN ('pending', 'running', 'retrying', 'dead');
  `.execute(db);
}
