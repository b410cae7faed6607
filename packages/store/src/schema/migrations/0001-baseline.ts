import { type Kysely, sql } from "kysely";

/** All tables, as of the first release. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await createEvents(db);
  await createDeliveries(db);
  await createReplays(db);
  await createEndpoints(db);
}

/** What was accepted: the batches, what of them waits, the dedupe ledger, the events, the quarantine. */
async function createEvents(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE SEQUENCE batch_number AS bigint CACHE 1;

    -- What ingest has committed together. Written once, before the senders are answered. Partitions are made ahead; there
    -- is no default partition (it would forbid DETACH CONCURRENTLY).
    CREATE TABLE batches (
      day date NOT NULL,              -- day of receipt, UTC, by the clock of Postgres
      batch bigint NOT NULL,          -- its number: batches in the order of their arrival
      received_at timestamptz NOT NULL,
      events smallint NOT NULL,       -- how many, 1,024 at most
      meta text NOT NULL,             -- a JSON array: what is known of each event beside its body (batch-format.ts)
      bodies bytea NOT NULL,          -- the exact bytes that were signed, one event after another
      PRIMARY KEY (day, batch)
    ) PARTITION BY RANGE (day);

    -- Alike bodies compress well together; lz4 takes a fifth of the time.
    DO $$ BEGIN
      IF (SELECT 'lz4' = ANY (enumvals) FROM pg_catalog.pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE batches ALTER COLUMN bodies SET COMPRESSION lz4, ALTER COLUMN meta SET COMPRESSION lz4;
      END IF;
    END $$;

    -- Batches that nobody has processed. Deleted by the transaction that processes them, so it stays small.
    CREATE TABLE pending (
      batch bigint PRIMARY KEY,
      day date NOT NULL,
      events integer NOT NULL,
      bytes integer NOT NULL,         -- of bodies
      accepted_at timestamptz NOT NULL
    ) WITH (
      autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
      autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 20000, vacuum_truncate = off
    );

    -- The dedupe ledger. Narrow and apart from the events, so that it can outlive them.
    CREATE TABLE event_keys (
      key bytea PRIMARY KEY,          -- SHA-256 of source and event id
      seq bigint NOT NULL,
      day date NOT NULL,
      body_hash bytea NOT NULL        -- SHA-256 of the body: tells a duplicate from another event with the same id
    );

    -- Each event once, as a worker has unpacked it. Written once, never updated.
    CREATE TABLE events (
      seq bigint NOT NULL,            -- 1,024 times the number of its batch, and its place there
      day date NOT NULL,              -- of its batch
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(), -- tells a replay what was there when it was asked for
      received_at timestamptz NOT NULL,
      source text NOT NULL,
      event_id text,                  -- as sent, cleaned for display; null when it had none
      type text,
      created_at timestamptz,         -- the provider's time; null when it sent none that makes sense
      subjects text[] NOT NULL,       -- ids of contact, conversation, message, workflow: the first one sorts a batch
      problem text,                   -- why it is not taken as it is: not-utf8, not-json, no-envelope, id-conflict, too-old
      traceparent text,
      body_at integer NOT NULL,       -- where in the bodies of its batch its own begins, from 0
      body_bytes integer NOT NULL,
      replay_id text,                 -- the replay that it was made for, with another body, and the event it was made of
      replay_of bigint,
      PRIMARY KEY (day, seq)
    ) PARTITION BY RANGE (day);
    -- An event is found by its id through the ledger. These are those that are not: the ledger has them under another
    -- key, or their id was shortened or cleaned for display.
    CREATE INDEX events_odd_ids ON events (event_id)
     WHERE problem = 'id-conflict' OR octet_length(event_id) >= 256 OR strpos(event_id, U&'\\FFFD') > 0;
    CREATE INDEX events_replay_of ON events (replay_of) WHERE replay_of IS NOT NULL;

    -- The exact bytes of an event.
    CREATE FUNCTION body_of(day date, seq bigint, body_at integer, body_bytes integer) RETURNS bytea
      LANGUAGE sql STABLE PARALLEL SAFE
      AS $$ SELECT substr(bodies, $3 + 1, $4) FROM penstock.batches b WHERE b.day = $1 AND b.batch = $2 / 1024 $$;

    -- The events of a batch as they will be in events, and the copies of others that whoever processes it leaves out.
    CREATE FUNCTION events_of(batch batches) RETURNS TABLE (
      seq bigint, day date, received_at timestamptz, source text, event_id text, type text, created_at timestamptz,
      subjects text[], problem text, traceparent text, body_at integer, body_bytes integer, replay_id text, replay_of bigint
    ) LANGUAGE sql STABLE PARALLEL SAFE AS $$
      SELECT $1.batch * 1024 + m.nth - 1, $1.day, $1.received_at, m.source, m.id, m.type,
             to_timestamp(m.created_ms / 1000) + m.created_ms % 1000 * interval '1 millisecond',
             coalesce(m.subjects, '{}'), m.problem, m.traceparent,
             (sum(m.bytes) OVER (ORDER BY m.nth) - m.bytes)::integer, m.bytes, m.replay_id, m.replay_of
        FROM ROWS FROM (jsonb_to_recordset($1.meta::jsonb) AS (
               source text, id text, type text, "createdMs" bigint, subjects text[], problem text, traceparent text,
               bytes integer, "replayId" text, "replayOf" bigint)) WITH ORDINALITY
             AS m (source, id, type, created_ms, subjects, problem, traceparent, bytes, replay_id, replay_of, nth)
    $$;

    -- Signed events that could not be understood. Kept in events; this says why.
    CREATE TABLE quarantine (
      seq bigint NOT NULL,
      day date NOT NULL,
      reason text NOT NULL,
      detail text,
      quarantined_at timestamptz NOT NULL DEFAULT now(),
      dismissed_at timestamptz,       -- an operator is done with it
      PRIMARY KEY (day, seq)
    );
  `.execute(db);
}

/** Who handles what, what each subscriber made of each event, and what was done once for it. */
async function createDeliveries(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE handlers (
      name text PRIMARY KEY,
      kind text NOT NULL CHECK (kind IN ('transactional', 'effect', 'endpoint')),
      types text[] NOT NULL,
      -- From then on every accepted event of its types gets a delivery. Null until its registration has committed.
      registered_at timestamptz,
      seen_at timestamptz NOT NULL DEFAULT now(),
      -- When a worker that subscribes to each of its types was last there: {"contact.created": "2026-06-01T12:00:00Z"}.
      types_seen jsonb NOT NULL DEFAULT '{}',
      paused_at timestamptz,                      -- null while it runs
      lane_order text CHECK (lane_order IN ('strict', 'newest-wins')), -- how its deliveries are put in lanes; null without
      on_dead text CHECK (on_dead IN ('block', 'continue')),
      rate_since timestamptz,                     -- where it has a rate limit: when the last period began,
      rate_started integer NOT NULL DEFAULT 0     -- and how many deliveries were started in that
    );
    -- Every batch reads who handles what, and endpoints can be thousands.
    CREATE INDEX handlers_code ON handlers (name) WHERE kind <> 'endpoint';

    -- Handlers see their own schemas: each runs as a role of its own.
    CREATE TABLE handler_roles (
      schema text PRIMARY KEY,
      role text NOT NULL UNIQUE -- roles belong to a server and not to a database, hence names that no other database has
    );

    -- One event for one subscriber. The row is also the mark that makes an effect happen once: it commits in the same
    -- transaction as the effect.
    CREATE TABLE deliveries (
      day date NOT NULL,
      seq bigint NOT NULL,
      subscriber text NOT NULL,
      state text NOT NULL
        CHECK (state IN ('pending', 'running', 'succeeded', 'retrying', 'dead', 'skipped', 'cancelled')),
      attempts smallint NOT NULL DEFAULT 0,       -- tries begun, less those an outage took
      interruptions smallint NOT NULL DEFAULT 0,  -- tries whose worker vanished
      next_attempt_at timestamptz,                -- set while pending or retrying
      lease_until timestamptz,                    -- set while running
      token uuid,                                 -- set while running: who may write the result
      changed_at timestamptz NOT NULL DEFAULT now(),
      generation smallint NOT NULL DEFAULT 0,     -- how often what was done is done anew: each has effects of its own
      lane text COLLATE "C",                      -- null: it has no lane, or none is known yet
      lane_at timestamptz,                        -- with seq, its place in the lane
      late boolean NOT NULL DEFAULT false,        -- its lane had applied a newer one before
      skip_reason text,                           -- why it was skipped, when no operator did
      replay_id text,                             -- the last replay that took it
      replayed_from text,                         -- its state before that; null: the replay made it
      PRIMARY KEY (day, seq, subscriber)
    ) PARTITION BY RANGE (day);
    -- Due deliveries are claimed handler by handler. What waits in a lane has no next_attempt_at, except for at least one
    -- delivery that wakes the lane: a lane costs one look, however many wait in it.
    CREATE INDEX deliveries_due ON deliveries (subscriber, next_attempt_at)
     WHERE state IN ('pending', 'retrying') AND lane IS NULL;
    CREATE INDEX deliveries_wake ON deliveries (subscriber, next_attempt_at)
     WHERE state IN ('pending', 'retrying') AND lane IS NOT NULL AND next_attempt_at IS NOT NULL;
    CREATE INDEX deliveries_lane ON deliveries (subscriber, lane, state, lane_at, seq)
     WHERE lane IS NOT NULL AND state IN ('pending', 'running', 'retrying', 'dead');
    -- What may have killed its worker is claimed by itself.
    CREATE INDEX deliveries_interrupted ON deliveries (next_attempt_at)
     WHERE state IN ('pending', 'retrying') AND interruptions > 0;
    CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state = 'running';
    -- What has not succeeded is found by operators.
    CREATE INDEX deliveries_state ON deliveries (state, day, seq) WHERE state <> 'succeeded';
    CREATE INDEX deliveries_subscriber ON deliveries (subscriber, state, day, seq) WHERE state <> 'succeeded';
    CREATE INDEX deliveries_replay ON deliveries (replay_id, state) WHERE replay_id IS NOT NULL;

    -- Every try but a first success; beside the tries, what operators did in between (worker is the command then), and how a
    -- delivery had ended before it was begun again: so a first success, which has no row, is not lost.
    CREATE TABLE attempts (
      day date NOT NULL,
      seq bigint NOT NULL,
      subscriber text NOT NULL,
      attempt smallint NOT NULL,
      started_at timestamptz NOT NULL,
      ended_at timestamptz NOT NULL,
      outcome text NOT NULL
        CHECK (outcome IN ('succeeded', 'failed', 'timed-out', 'interrupted', 'retried', 'skipped', 'cancelled')),
      error_class text,
      error_message text,
      worker text NOT NULL,
      traceparent text,                           -- of its span, so that the next one can link to it
      replay_id text,                             -- the replay that had it run
      note text                                   -- why it was skipped, when no operator did
    ) PARTITION BY RANGE (day);
    CREATE INDEX attempts_delivery ON attempts (day, seq, subscriber);

    -- What ctx.once has done for an event, and what came of it: as json, since jsonb refuses what JSON may hold (NUL, half a
    -- surrogate pair), and what was done must be recorded whatever came of it.
    CREATE TABLE effects (
      seq bigint NOT NULL,
      subscriber text NOT NULL,
      generation smallint NOT NULL,
      key text NOT NULL,
      result json NOT NULL,
      recorded_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (seq, subscriber, generation, key)
    );

    -- Lanes: deliveries of one handler that share a key and run in order, one at a time. The row holds a lane's lock and its
    -- mark. Whoever changes what a lane's next delivery may depend on locks the row and counts the change.
    CREATE TABLE lanes (
      subscriber text NOT NULL,
      lane text COLLATE "C" NOT NULL,
      changes bigint NOT NULL DEFAULT 0,
      applied_at timestamptz,         -- with applied_seq, the place of the newest that succeeded; never past that moment
      applied_seq bigint,
      PRIMARY KEY (subscriber, lane)
    ) WITH (fillfactor = 80);
  `.execute(db);
}

/** Replays: deliveries that are done again. */
async function createReplays(db: Kysely<unknown>): Promise<void> {
  await sql`
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
      undone bigint NOT NULL DEFAULT 0, -- handed out, and put back by cancelling it
      created_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz
    );
    CREATE INDEX replays_due ON replays (due_at) WHERE status = 'running';
    CREATE INDEX replays_created ON replays (created_at);
  `.execute(db);
}

/** Endpoints: subscribers whose deliveries are requests to a URL. */
async function createEndpoints(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- What a subscriber of this kind has besides its row in handlers, where its types and its pause are.
    CREATE TABLE endpoints (
      id text PRIMARY KEY REFERENCES handlers (name) ON DELETE CASCADE,
      url text NOT NULL,
      description text,
      tenant text,
      filter jsonb,                    -- by path in the event, the values that it may have there
      lane text,                       -- the path of the value that its lanes are told by
      header_name text,                -- of its plain signature, for events of every source; null: it asked for none
      secret text NOT NULL,            -- sealed, as is the next
      previous_secret text,            -- signs, too, until its time is over
      previous_until timestamptz,
      concurrency integer NOT NULL,
      rate_per_second integer,
      schedule_ms float8[],            -- waits between tries
      disable_after_ms float8 NOT NULL,
      disable_after_failures integer,
      created_at timestamptz NOT NULL DEFAULT now(),
      failures integer NOT NULL DEFAULT 0, -- in a row
      failing_since timestamptz,
      last_error text,
      parks integer NOT NULL DEFAULT 0,    -- how often in a row it was left alone for a while
      parked_until timestamptz,            -- nothing but one try once it is over
      disabled_at timestamptz,
      disabled_reason text,
      leased_by uuid,                      -- the run of a worker that delivers to it, one at a time
      leased_until timestamptz             -- or when the last one let go
    );
    CREATE INDEX endpoints_tenant ON endpoints (tenant) WHERE tenant IS NOT NULL;

    -- Counts what changes who gets what, in the same transaction: a worker that has read the endpoints as of a count knows
    -- that they are the same while the count is.
    CREATE TABLE endpoint_changes (n bigint NOT NULL);
    INSERT INTO endpoint_changes VALUES (0);
    CREATE UNIQUE INDEX endpoint_changes_one ON endpoint_changes ((true));
  `.execute(db);
}
