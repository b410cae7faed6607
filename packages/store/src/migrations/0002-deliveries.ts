import { type Kysely, sql } from "kysely";

/** Who handles what, and what each subscriber made of each event. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE handlers (
      name text PRIMARY KEY,
      kind text NOT NULL CHECK (kind IN ('transactional')),
      types text[] NOT NULL,
      registered_at timestamptz NOT NULL DEFAULT now(),
      seen_at timestamptz NOT NULL DEFAULT now()
    );

    -- One event for one subscriber. The row is also the mark that makes an effect happen once: it commits in the same
    -- transaction as the effect.
    CREATE TABLE deliveries (
      day date NOT NULL,
      seq bigint NOT NULL,
      subscriber text NOT NULL,
      state text NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'retrying', 'dead')),
      attempts smallint NOT NULL DEFAULT 0,       -- tries begun, less those an outage took
      interruptions smallint NOT NULL DEFAULT 0,  -- tries whose worker vanished
      next_attempt_at timestamptz,                -- set while pending or retrying
      lease_until timestamptz,                    -- set while running
      token uuid,                                 -- set while running: who may write the result
      changed_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (day, seq, subscriber)
    ) PARTITION BY RANGE (day);
    CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE state IN ('pending', 'retrying');
    CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state = 'running';
    CREATE INDEX deliveries_dead ON deliveries (subscriber, changed_at) WHERE state = 'dead';

    -- Every try but a first success.
    CREATE TABLE attempts (
      day date NOT NULL,
      seq bigint NOT NULL,
      subscriber text NOT NULL,
      attempt smallint NOT NULL,
      started_at timestamptz NOT NULL,
      ended_at timestamptz NOT NULL,
      outcome text NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'timed-out', 'interrupted')),
      error_class text,
      error_message text,
      worker text NOT NULL
    ) PARTITION BY RANGE (day);
    CREATE INDEX attempts_delivery ON attempts (day, seq, subscriber);
  `.execute(db);
}
