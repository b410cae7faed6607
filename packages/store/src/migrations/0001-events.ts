import { type Kysely, sql } from "kysely";

/** The dedupe ledger, the archive of events, what is accepted and not yet processed, and the quarantine. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE SEQUENCE event_seq AS bigint CACHE 1;

    -- The dedupe ledger. Narrow and apart from the events, so that it can outlive their bodies.
    CREATE TABLE event_keys (
      key bytea PRIMARY KEY,          -- SHA-256 of source and event id
      seq bigint NOT NULL,
      day date NOT NULL,
      body_hash bytea NOT NULL        -- SHA-256 of the body: tells a duplicate from another event with the same id
    );

    -- Written once, never updated. Partitions are made ahead; there is no default partition (it would forbid
    -- DETACH CONCURRENTLY).
    CREATE TABLE events (
      seq bigint NOT NULL,
      day date NOT NULL,              -- day of receipt, UTC, by the clock of Postgres
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(), -- with seq, a cursor that skips nothing that commits late
      received_at timestamptz NOT NULL,
      source text NOT NULL,
      event_id text,                  -- as sent, cleaned for display; null when it had none
      type text,
      created_at timestamptz,         -- the provider's time; null when it sent none that makes sense
      subjects text[] NOT NULL,       -- ids of contact, conversation, message, workflow: the first one sorts a batch
      problem text,                   -- what intake saw: not-utf8, not-json, no-envelope, id-conflict, too-old
      traceparent text,
      body bytea NOT NULL,            -- the exact bytes that were signed
      PRIMARY KEY (day, seq)
    ) PARTITION BY RANGE (day);
    -- Bodies are small and read once: compressing them costs more than it saves on the hot path.
    ALTER TABLE events ALTER COLUMN body SET STORAGE EXTERNAL;

    -- Accepted and not yet processed. Deleted by the transaction that processes it, so it stays small.
    CREATE TABLE pending (
      seq bigint PRIMARY KEY,
      day date NOT NULL,
      batch_id uuid NOT NULL,
      bytes integer NOT NULL,
      tries smallint NOT NULL DEFAULT 0, -- how often it was started alone and did not come back
      accepted_at timestamptz NOT NULL
    ) WITH (
      autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
      autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 20000, vacuum_truncate = off
    );
    CREATE INDEX pending_batch ON pending (batch_id, seq);

    -- Signed events that could not be understood. Kept in events; this says why.
    CREATE TABLE quarantine (
      seq bigint NOT NULL,
      day date NOT NULL,
      reason text NOT NULL,
      detail text,
      quarantined_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (day, seq)
    );
  `.execute(db);
}
