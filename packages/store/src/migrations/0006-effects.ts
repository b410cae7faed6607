import { type Kysely, sql } from "kysely";

/** Effect handlers: what each did once for an event, and handlers that are paused. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE handlers DROP CONSTRAINT handlers_kind_check;
    ALTER TABLE handlers ADD CONSTRAINT handlers_kind_check CHECK (kind IN ('transactional', 'effect'));
    ALTER TABLE handlers ADD COLUMN paused_at timestamptz; -- null while it runs

    -- Counts how often what was done is to be done anew: each generation has effects and idempotency keys of its own.
    ALTER TABLE deliveries ADD COLUMN generation smallint NOT NULL DEFAULT 0;

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
  `.execute(db);
}
