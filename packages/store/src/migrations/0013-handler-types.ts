import { type Kysely, sql } from "kysely";

/** Handlers whose workers differ in the types that they subscribe to, and since when no accepted event is missed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- From then on every accepted event of its types gets a delivery. Null until its registration has committed.
    ALTER TABLE handlers ALTER COLUMN registered_at DROP DEFAULT, ALTER COLUMN registered_at DROP NOT NULL;
    -- When a worker that subscribes to each of its types was last there: {"contact.created": "2026-06-01T12:00:00Z"}.
    ALTER TABLE handlers ADD COLUMN types_seen jsonb NOT NULL DEFAULT '{}';
    UPDATE handlers
       SET types_seen = (SELECT coalesce(jsonb_object_agg(type, seen_at), '{}') FROM unnest(types) AS t (type))
     WHERE kind <> 'endpoint';
  `.execute(db);
}
