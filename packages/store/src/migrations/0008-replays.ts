import { type Kysely, sql } from "kysely";

/** Replays: deliveries that are done again, and events that are found by their id. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- An event is found by its id through the ledger. These are those that are not: the ledger has them under another
    -- key, or their id was shortened or cleaned for display.
    CREATE INDEX events_odd_ids ON events (event_id)
     WHERE problem = 'id-conflict' OR octet_length(event_id) >= 256 OR strpos(event_id, U&'\\FFFD') > 0;

    CREATE TABLE replays (
      id text PRIMARY KEY,
      request jsonb NOT NULL,         -- as it was asked for: to ask for the same again is no error
      reason text,
      -- What it takes. Of what was committed when it was asked for, so that what is below its cursor stays as it is.
      seen pg_snapshot NOT NULL DEFAULT pg_current_snapshot(),
      source text,
      type text,
      since timestamptz,
      until timestamptz,
      subject text,
      event_day date,
      event_seq bigint,
      handler text,
      state text,                     -- of deliveries: only those that are in it
      among text CHECK (among IN ('missing', 'quarantined')),
      again boolean NOT NULL,
      rate integer,                   -- deliveries per second; null: no limit
      body_seq bigint,                -- the event that was made of another body
      -- How far it is.
      status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'cancelled')),
      due_at timestamptz NOT NULL DEFAULT now(), -- when its next page is
      cursor_day date,
      cursor_seq bigint,
      cursor_subscriber text,
      exhausted boolean NOT NULL DEFAULT false,
      matched bigint NOT NULL DEFAULT 0,
      enqueued bigint NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz
    );
    CREATE INDEX replays_due ON replays (due_at) WHERE status = 'running';
    CREATE INDEX replays_created ON replays (created_at);

    ALTER TABLE deliveries ADD COLUMN replay_id text; -- the last replay that took it
    ALTER TABLE deliveries ADD COLUMN replayed_from text; -- its state before that; null: the replay made it
    CREATE INDEX deliveries_replay ON deliveries (replay_id, state) WHERE replay_id IS NOT NULL;

    -- An event that was not received but made by a replay, of another event with another body.
    ALTER TABLE events ADD COLUMN replay_id text;
    ALTER TABLE events ADD COLUMN replay_of bigint;
  `.execute(db);
}
