import { type Kysely, sql } from "kysely";

/** Handlers see their own schemas: each runs as a role of its own. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE handler_roles (
      schema text PRIMARY KEY,
      role text NOT NULL UNIQUE -- roles belong to a server and not to a database, hence names that no other database has
    );
  `.execute(db);
}
