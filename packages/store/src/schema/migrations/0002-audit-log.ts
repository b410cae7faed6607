import { type Kysely, sql } from "kysely";

/** What operators did. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- A row for each write by an operator and each reveal of a secret, written in the same transaction. Never updated.
    CREATE TABLE audit_log (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at timestamptz NOT NULL DEFAULT now(),
      actor text NOT NULL,            -- e.g. cli:ada@host
      action text NOT NULL,           -- noun and verb, e.g. handlers.pause
      target text NOT NULL,           -- the name or id of what was changed
      detail json NOT NULL            -- as json, since jsonb refuses what JSON may hold: NUL, half a surrogate pair
    );
    CREATE INDEX audit_log_target ON audit_log (target, id);
    CREATE INDEX audit_log_actor ON audit_log (actor, id);
  `.execute(db);
}
