import type { Client } from "pg";

/** Drops the roles whose names match, which databases that are gone have left in their server. */
export async function dropRoles(client: Client, pattern: string): Promise<void> {
  const { rows } = await client.query<{ statement: string }>(
    "SELECT format('DROP ROLE %I', rolname) AS statement FROM pg_catalog.pg_roles WHERE rolname LIKE $1",
    [pattern],
  );
  for (const { statement } of rows) await client.query(statement);
}
