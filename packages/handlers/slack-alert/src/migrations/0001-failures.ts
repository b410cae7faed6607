import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE failures (
      seq bigint PRIMARY KEY,
      failed_at timestamptz NOT NULL,
      reason text NOT NULL,
      message text,
      channel text,
      example jsonb NOT NULL
    )`.execute(db);
  await sql`CREATE INDEX ON failures (failed_at)`.execute(db);
  // One row, which is also the lock that has failures counted one after the other.
  await sql`
    CREATE TABLE last_alert (
      single boolean PRIMARY KEY DEFAULT true CHECK (single),
      at timestamptz NOT NULL DEFAULT '-infinity'
    )`.execute(db);
  await sql`INSERT INTO last_alert DEFAULT VALUES`.execute(db);
}
