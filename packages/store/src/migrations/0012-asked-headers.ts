import { type Kysely, sql } from "kysely";

/** Whether an endpoint asked for the header of its plain signature. Without that only events of BuzzBip's have one. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- header_name stays set: a worker of the version before signs in it whatever this says.
    ALTER TABLE endpoints ADD COLUMN header_asked boolean NOT NULL DEFAULT false;
    UPDATE endpoints SET header_asked = true WHERE header_name <> 'X-BuzzBip-Signature';
  `.execute(db);
}
