import { type Kysely, sql } from "kysely";

/** What is kept of sources beside their events: secrets, the last refused requests, and when they were last heard of. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- The signing secrets of sources: those that are kept here, and marks of those in the environment of ingest.
    CREATE TABLE source_secrets (
      source text NOT NULL,
      fingerprint text NOT NULL,      -- tells secrets apart, and tells nothing of them
      sealed text,                    -- null: it is in the environment of ingest
      added_at timestamptz NOT NULL DEFAULT now(), -- of one in the environment, when an ingest first had it
      ends_at timestamptz,            -- from then on nothing that is signed with it is accepted; null: no end
      used_at timestamptz,            -- when it last verified a request, within seconds
      seen_at timestamptz,            -- when an ingest last had it in its environment; null: never
      PRIMARY KEY (source, fingerprint)
    ) WITH (fillfactor = 70);

    -- When each source last had an event and a refused request, within seconds.
    CREATE TABLE source_activity (
      source text PRIMARY KEY,
      event_at timestamptz,
      refused_at timestamptz,
      refused bigint NOT NULL DEFAULT 0 -- how many requests were refused in all
    ) WITH (fillfactor = 70);

    -- The last requests of each source that were refused. Older ones are deleted as others come.
    CREATE TABLE refused_requests (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      source text NOT NULL,
      at timestamptz NOT NULL,
      reason text NOT NULL,
      status smallint NOT NULL,       -- what the sender was answered
      address text NOT NULL,
      method text NOT NULL,
      path text NOT NULL,             -- with the names of its query, without their values
      headers jsonb NOT NULL,         -- those that the source asks for, and no others
      findings text[] NOT NULL,       -- why, in sentences
      body_bytes integer,             -- null: it was not read
      body_sha256 text,
      body bytea,                     -- only where the source allows it
      left_out integer NOT NULL       -- how many of this source were refused since the one before and are not kept
    );
    CREATE INDEX refused_requests_source ON refused_requests (source, id);
  `.execute(db);
}
