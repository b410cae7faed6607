import { type Kysely, sql } from "kysely";

/** Issues: what needs a person, grouped, and what was told of it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE issues (
      id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      fingerprint text NOT NULL UNIQUE, -- what occurrences have in common
      kind text NOT NULL CHECK (kind IN
        ('dead-letter', 'quarantine', 'refused', 'failing-endpoint', 'blocked-lane', 'silent-source')),
      subject text NOT NULL,            -- the handler, the endpoint or the source
      title text NOT NULL,              -- in words, without numbers and ids
      place text,                       -- where in the handler's code it came from the last time, file:line:column
      state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'resolved', 'ignored')),
      changed_at timestamptz NOT NULL DEFAULT now(), -- its state: what came before a resolve does not reopen it
      changed_by text,                  -- the operator; null: a worker
      note text,                        -- of the operator
      first_seen timestamptz NOT NULL,
      last_seen timestamptz NOT NULL,
      count bigint NOT NULL,
      reopened integer NOT NULL DEFAULT 0, -- how often it came back after it was resolved
      example_day date,                 -- the event of the newest occurrence, where it has one
      example_seq bigint
    );
    CREATE INDEX issues_recent ON issues (last_seen, id);
    CREATE INDEX issues_subject ON issues (kind, subject);

    -- Occurrences over time, kept for 30 days.
    CREATE TABLE issue_hours (
      issue integer NOT NULL REFERENCES issues ON DELETE CASCADE,
      hour timestamptz NOT NULL,
      count integer NOT NULL,
      PRIMARY KEY (issue, hour)
    );
    CREATE INDEX issue_hours_old ON issue_hours (hour);

    -- What is to be told: written with the issue, read by each channel from where it stands. Kept for 30 days.
    CREATE TABLE issue_notices (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      issue integer NOT NULL REFERENCES issues ON DELETE CASCADE,
      reason text NOT NULL CHECK (reason IN ('opened', 'reopened')),
      noted_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE issue_channels (
      channel text PRIMARY KEY,         -- a webhook or mail, by the name that workers give it
      told bigint NOT NULL,             -- the last notice that was sent
      due_at timestamptz NOT NULL DEFAULT now(), -- nothing is sent before: a digest is gathered, or a failure waited out
      leased_until timestamptz,         -- a worker is sending
      failures integer NOT NULL DEFAULT 0,
      last_error text
    );

    ALTER TABLE attempts ADD COLUMN place text; -- where in the handler's code its error came from, file:line:column

    -- The issue that a dead letter was sorted into; null until then, and again once it has succeeded or died anew. It stays
    -- while it is tried again.
    ALTER TABLE deliveries ADD COLUMN issue integer;
    CREATE INDEX deliveries_unsorted ON deliveries (changed_at) WHERE state = 'dead' AND issue IS NULL;
    CREATE INDEX deliveries_issue ON deliveries (issue, state, day, seq, subscriber) WHERE issue IS NOT NULL;
    ALTER TABLE quarantine ADD COLUMN issue integer;
    CREATE INDEX quarantine_unsorted ON quarantine (quarantined_at) WHERE issue IS NULL AND dismissed_at IS NULL;
    CREATE INDEX quarantine_issue ON quarantine (issue, day, seq) WHERE issue IS NOT NULL AND dismissed_at IS NULL;
    CREATE INDEX endpoints_failing ON endpoints (id) WHERE parks > 0 OR disabled_at IS NOT NULL;
    ALTER TABLE replays ADD COLUMN issue integer; -- only what belongs to this issue
  `.execute(db);
}
