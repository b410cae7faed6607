import { type Kysely, sql } from "kysely";

/** Who may use the console and its API. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE people (
      id text PRIMARY KEY,
      name text NOT NULL,
      email text NOT NULL UNIQUE,     -- in lower case
      email_verified boolean NOT NULL DEFAULT true,
      image text,
      role text NOT NULL DEFAULT 'viewer' CHECK (role IN ('viewer', 'operator', 'admin')),
      sees_payloads boolean NOT NULL DEFAULT false,
      language text,
      theme text NOT NULL DEFAULT 'system',
      disabled_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );

    CREATE TABLE sessions (
      id text PRIMARY KEY,
      token text NOT NULL UNIQUE,     -- of no use without the key that cookies are signed with
      person_id text NOT NULL REFERENCES people ON DELETE CASCADE,
      ip_address text,
      user_agent text,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX sessions_person ON sessions (person_id);

    -- How somebody proves who they are: a password's hash, or an account at a provider of identities.
    CREATE TABLE credentials (
      id text PRIMARY KEY,
      person_id text NOT NULL REFERENCES people ON DELETE CASCADE,
      provider text NOT NULL,
      account_id text NOT NULL,       -- there
      password text,
      access_token text,
      refresh_token text,
      id_token text,
      access_token_expires_at timestamptz,
      refresh_token_expires_at timestamptz,
      scope text,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      UNIQUE (provider, account_id)
    );
    CREATE INDEX credentials_person ON credentials (person_id);

    -- What is under way between a browser, the console and a provider of identities.
    CREATE TABLE verifications (
      id text PRIMARY KEY,
      identifier text NOT NULL,
      value text NOT NULL,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX verifications_identifier ON verifications (identifier);

    -- How often sign-in was tried, by address and path.
    CREATE TABLE sign_in_limits (
      id text PRIMARY KEY,
      key text NOT NULL UNIQUE,
      count integer NOT NULL,
      last_request bigint NOT NULL
    );

    CREATE TABLE sign_in_links (
      token_hash bytea PRIMARY KEY,   -- SHA-256
      person_id text NOT NULL REFERENCES people ON DELETE CASCADE,
      expires_at timestamptz NOT NULL
    );

    CREATE TABLE api_tokens (
      id text PRIMARY KEY,
      token_hash bytea NOT NULL UNIQUE, -- SHA-256
      hint text NOT NULL,             -- how it begins
      name text NOT NULL,
      role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
      sees_payloads boolean NOT NULL,
      created_by text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      expires_at timestamptz,
      last_used_at timestamptz
    );

    -- Answers to writes, for a day: a request that is sent again with its Idempotency-Key is not done again.
    CREATE TABLE idempotency_keys (
      caller text NOT NULL,
      key text NOT NULL,
      request_hash bytea NOT NULL,
      status integer,                 -- null while it is under way
      answer jsonb,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (caller, key)
    );
    CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
  `.execute(db);
}
