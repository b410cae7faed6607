import { withClient } from "@penstock/test-postgres";

/** What a database or a role may have set, each of which changes a text that is read, or what a statement means. */
export const STRANGE_SETTINGS = {
  client_encoding: "LATIN1",
  DateStyle: "German",
  IntervalStyle: "sql_standard",
  TimeZone: "Asia/Kathmandu",
  bytea_output: "escape",
  extra_float_digits: "-10",
  quote_all_identifiers: "on",
  standard_conforming_strings: "off",
  array_nulls: "off",
  transform_null_equals: "on",
  search_path: "nowhere",
  default_transaction_isolation: "serializable",
  gin_fuzzy_search_limit: "1",
  exit_on_error: "on",
} as const;

/** Has every later session in a database begin with {@link STRANGE_SETTINGS}: all of them, or those of this role. */
export async function setStrangely(url: string, by: "database" | "role"): Promise<void> {
  await withClient(url, async (client) => {
    for (const [name, value] of Object.entries(STRANGE_SETTINGS)) {
      await client.query(`DO $$ BEGIN
        EXECUTE format('ALTER ${by === "role" ? "ROLE CURRENT_USER IN " : ""}DATABASE %I SET ${name} TO ''${value}''',
                       current_database()); END $$`);
    }
  });
}
