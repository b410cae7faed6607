import { type Kysely, sql } from "kysely";

/** What was erased of a person, and how far an erasure is. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE erasures (
      id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      requested_at timestamptz NOT NULL DEFAULT now(),
      requested_by text NOT NULL,
      kinds text[] NOT NULL,          -- what it was told by, without the values, e.g. subject or data.phone
      wanted jsonb,                   -- the values, while it needs them; null once it is done
      last_batch bigint NOT NULL,     -- what arrived later is not erased
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(), -- that batch and those before it have an older one
      step text NOT NULL DEFAULT 'events' CHECK (step IN ('events', 'texts', 'handlers', 'told', 'done')),
      waits_for text,                 -- why it does not go on, for people
      look integer NOT NULL DEFAULT 0, -- where it is among the events: which of its searches, and below which event
      look_day date,
      look_seq bigint,
      found integer NOT NULL DEFAULT 0, -- in this pass: all is looked through until a pass finds nothing
      counts jsonb NOT NULL DEFAULT '{}', -- what was overwritten, by kind
      handlers jsonb NOT NULL,        -- by name, how far a handler's own erase is
      told_day date,
      told_batch bigint,              -- of the events that tell endpoints; they go once these have them
      due_at timestamptz NOT NULL DEFAULT now(),
      leased_until timestamptz,       -- a worker is at it
      ended_at timestamptz
    );
    CREATE INDEX erasures_due ON erasures (due_at) WHERE step <> 'done';

    -- Events that were erased. Their keys tell a worker that a copy is one of theirs.
    CREATE TABLE erased_events (
      day date NOT NULL,
      seq bigint NOT NULL,
      erasure integer NOT NULL,
      key uuid NOT NULL,              -- as in event_keys
      erased_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (day, seq)
    );
    CREATE INDEX erased_events_key ON erased_events (key);
    CREATE INDEX erased_events_erasure ON erased_events (erasure);
  `.execute(db);
}
