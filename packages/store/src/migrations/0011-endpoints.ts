import { type Kysely, sql } from "kysely";

/** Endpoints: subscribers whose deliveries are requests to a URL. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE handlers DROP CONSTRAINT handlers_kind_check;
    ALTER TABLE handlers ADD CONSTRAINT handlers_kind_check CHECK (kind IN ('transactional', 'effect', 'endpoint'));

    -- Every batch reads who handles what, and endpoints can be thousands.
    CREATE INDEX handlers_code ON handlers (name) WHERE kind <> 'endpoint';

    -- What a subscriber of this kind has besides its row in handlers, where its types and its pause are.
    CREATE TABLE endpoints (
      id text PRIMARY KEY REFERENCES handlers (name) ON DELETE CASCADE,
      url text NOT NULL,
      description text,
      tenant text,
      filter jsonb,                    -- by path in the event, the values that it may have there
      lane text,                       -- the path of the value that its lanes are told by
      header_name text NOT NULL,
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
      disabled_reason text
    );
    CREATE INDEX endpoints_tenant ON endpoints (tenant) WHERE tenant IS NOT NULL;

    -- Counts what changes who gets what, in the same transaction: a worker that has read the endpoints as of a count knows
    -- that they are the same while the count is.
    CREATE TABLE endpoint_changes (n bigint NOT NULL);
    INSERT INTO endpoint_changes VALUES (0);
    CREATE UNIQUE INDEX endpoint_changes_one ON endpoint_changes ((true));
  `.execute(db);
}
