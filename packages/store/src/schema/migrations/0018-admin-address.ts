import { type Kysely, sql } from "kysely";

/** The first admin had an address that could not sign in by a password, since its domain has no dot. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    UPDATE people SET email = 'admin@penstock.localhost', updated_at = now()
     WHERE email = 'admin@localhost'
       AND NOT EXISTS (SELECT FROM people WHERE email = 'admin@penstock.localhost')
  `.execute(db);
}
