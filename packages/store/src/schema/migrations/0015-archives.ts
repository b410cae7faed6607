import { type Kysely, sql } from "kysely";

/** Which days are archived, where, and whether they were read back. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE archives (
      day date PRIMARY KEY,
      url text NOT NULL,                -- of the archive, without credentials
      parts jsonb NOT NULL DEFAULT '[]', -- as in its manifest: what is written so far, for whoever goes on after a crash
      events bigint NOT NULL DEFAULT 0,
      bytes bigint NOT NULL DEFAULT 0,  -- of all parts, compressed
      first_seq bigint,
      last_seq bigint,
      begun_at timestamptz NOT NULL DEFAULT now(),
      written_at timestamptz,           -- its manifest was written: from then on the day is archived
      verified_at timestamptz,          -- it was read back and was as written: from then on the day may go
      problem text,                     -- what was wrong with it when it was read last
      restored_at timestamptz           -- events of it were brought back
    );
  `.execute(db);
}
