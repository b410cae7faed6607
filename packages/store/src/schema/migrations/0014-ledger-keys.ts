import { type Kysely, sql } from "kysely";

/** The ledger's hashes, cut to 128 bits. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- As uuid: 16 bytes without a length. Ledger and index take half of the room, and compare faster.
    ALTER TABLE event_keys
      ALTER COLUMN key TYPE uuid USING encode(substr(key, 1, 16), 'hex')::uuid,             -- of source and event id
      ALTER COLUMN body_hash TYPE uuid USING encode(substr(body_hash, 1, 16), 'hex')::uuid; -- of the body
  `.execute(db);
}
