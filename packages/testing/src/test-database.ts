import { createDatabase, type DatabaseOptions, dropDatabase } from "@penstock/test-postgres";
import { atFileEnd } from "./file-end.ts";
import { providedPostgres } from "./provided.ts";

/** A database of a test file's own. */
export interface TestDatabase {
  url: string;
  /** Drops it with all connections to it; done by itself at the end of the test file. */
  drop(): Promise<void>;
}

/**
 * Makes a database of its own for a test file: empty, migrated, or a copy of a template that is migrated once per run.
 *
 * @example
 * const database = await createTestDatabase({ template: "store", migrate: (url) => migrateStore(url) });
 */
export async function createTestDatabase(options: DatabaseOptions = {}): Promise<TestDatabase> {
  const { name, url } = await createDatabase(providedPostgres(), options);
  const drop = (): Promise<void> => dropDatabase(providedPostgres(), name);
  // All at once at the end: each waits for a checkpoint, and those that wait together share one.
  if (toDrop.length === 0) atFileEnd(() => Promise.all(toDrop.splice(0).map((each) => each())));
  toDrop.push(drop);
  return { url, drop };
}

const toDrop: (() => Promise<void>)[] = [];
