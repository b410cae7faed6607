import { defineHandler } from "@penstock/handler-sdk";
import {
  assertMigrated,
  commitBatch,
  ensureAdmin,
  ensurePartitions,
  findPerson,
  migrate,
  type Store,
} from "@penstock/store";
import { createTestDatabase } from "@penstock/testing";
import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { newEvent, open, openMigrated } from "./open-test-store.ts";

const creates = (table: string) => ({
  up: async (db: Parameters<ReturnType<typeof sql>["execute"]>[0]) =>
    void (await sql.raw(`CREATE TABLE ${table} (id int)`).execute(db)),
});

const handler = (migrations: Record<string, ReturnType<typeof creates>>) =>
  defineHandler({ name: "my-handler", on: ["message.sent"], handle: () => undefined, migrations });

describe("migrate", () => {
  test("run by several processes at once applies each migration once", async () => {
    const { url } = await createTestDatabase();
    const stores = [open(url), open(url), open(url)];
    const applied = await Promise.all(stores.map((store) => migrate(store, [handler({ "1": creates("things") })])));
    const all = applied.flat();
    expect(all).toEqual([...new Set(all)]);
    expect(all).toEqual(expect.arrayContaining(["penstock/0001-baseline", "my_handler/1"]));
    await Promise.all(stores.map((store) => store.close()));
  });

  test("gives a handler a schema of its own and applies what is new later", async () => {
    const store = await openMigrated();
    expect(await migrate(store, [handler({ "1": creates("things") })])).toEqual(["my_handler/1"]);
    const both = handler({ "1": creates("things"), "2": creates("more") });
    await expect(assertMigrated(store, [both])).rejects.toThrow(
      /behind by 1 migration.*my_handler\/2.*penstock migrate/,
    );
    expect(await migrate(store, [both])).toEqual(["my_handler/2"]);
    await assertMigrated(store, [both]);
    const { rows } = await store.pool.query(
      "SELECT tablename FROM pg_tables WHERE schemaname = 'my_handler' ORDER BY 1",
    );
    expect(rows.map((row) => (row as { tablename: string }).tablename)).toEqual(
      expect.arrayContaining(["more", "things"]),
    );
    await store.close();
  });

  test("that fails names the migration and leaves nothing half done", async () => {
    const store = await openMigrated();
    const broken = handler({ "1": creates("things"), "2": creates("things") });
    await expect(migrate(store, [broken])).rejects.toThrow(
      /schema my_handler failed in migration my_handler\/2.*exists/,
    );
    const { rows } = await store.pool.query("SELECT to_regclass('my_handler.things') AS found");
    expect(rows).toEqual([{ found: null }]);
    await store.close();
  });
});

test("a database of a version before the first release is refused, with what to do", async () => {
  const store = await openMigrated();
  await store.pool.query(`
    DELETE FROM penstock.kysely_migration;
    INSERT INTO penstock.kysely_migration VALUES ('0001-events', now()), ('0002-deliveries', now())`);
  for (const attempt of [migrate, assertMigrated]) {
    await expect(attempt(store)).rejects.toThrow(
      /was made by an earlier version.*DROP SCHEMA penstock CASCADE.*penstock migrate/,
    );
  }
  await store.close();
});

test("the first admin of an earlier version gets an address that can sign in by a password, and stays the same person", async () => {
  const store = await openMigrated();
  const { id, email } = await ensureAdmin(store);
  await store.pool.query(`
    DELETE FROM penstock.kysely_migration WHERE name >= '0018';
    ALTER TABLE penstock.endpoints DROP COLUMN last_error_at;
    UPDATE penstock.people SET email = 'admin@localhost'`);
  expect(await migrate(store)).toEqual(["penstock/0018-admin-address", "penstock/0019-endpoint-errors"]);
  expect(await ensureAdmin(store)).toMatchObject({ id, email });
  expect(await findPerson(store, "admin@localhost")).toBeNull();
  await store.close();
});

test("a database that was never migrated is told from one that is", async () => {
  const { url } = await createTestDatabase();
  const store = open(url);
  await expect(assertMigrated(store)).rejects.toMatchObject({ code: "MIGRATIONS_PENDING" });
  await migrate(store);
  await assertMigrated(store);
  await store.close();
});

test.each(["SQL_ASCII", "LATIN1"])(
  "a database of encoding %s is refused before anything is made in it",
  async (encoding) => {
    const { url } = await createTestDatabase({ encoding });
    const store = open(url);
    await expect(migrate(store)).rejects.toMatchObject({
      code: "MIGRATION_FAILED",
      message: expect.stringMatching(
        `^database test_\\w+ has the encoding ${encoding}, .*ENCODING 'UTF8'.*set DATABASE_URL to it$`,
      ) as string,
    });
    expect((await store.pool.query("SELECT FROM pg_namespace WHERE nspname = 'penstock'")).rowCount).toBe(0);
    await store.close();
  },
);

describe("partitions", () => {
  const dropDay = (ahead: number): string => `
    DO $$ DECLARE parent text; name text; BEGIN
      FOREACH parent IN ARRAY ARRAY['batches', 'events', 'deliveries', 'attempts'] LOOP
        name := parent || '_' || to_char((now() AT TIME ZONE 'UTC')::date + ${ahead}, 'YYYYMMDD');
        EXECUTE format('ALTER TABLE penstock.%I DETACH PARTITION penstock.%I', parent, name);
        EXECUTE format('DROP TABLE penstock.%I', name);
      END LOOP; END $$`;

  /** Of the events of each day from today on; those before may be there, too, should it be midnight meanwhile. */
  const daysAhead = `
    SELECT count(*)::int AS n FROM pg_inherits
     WHERE inhparent = 'penstock.events'::regclass
       AND right(inhrelid::regclass::text, 8) >= to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')`;

  test("are made for today and the week ahead, once, by however many ask", async () => {
    const store = await openMigrated();
    await ensurePartitions(store); // of this day: the database may be from yesterday
    await store.pool.query(dropDay(1));
    const made = await Promise.all([ensurePartitions(store), ensurePartitions(store), ensurePartitions(store)]);
    expect(made.flat()).toHaveLength(4);
    expect((await store.pool.query(daysAhead)).rows).toEqual([{ n: 8 }]);
    await store.close();
  });

  test.each([
    ["another table has its name", async ({ pool }: Store) => void (await pool.query(makeNamesake))],
    ["no connection is free to make it with", ({ pool }: Store) => holdThirdConnection(pool)],
  ])("an event that meets no partition of its day meets an outage where %s", async (_, hinder) => {
    const { url } = await createTestDatabase();
    const migrated = open(url);
    await migrate(migrated);
    await migrated.pool.query(dropDay(0));
    const store = open(url, { maxConnections: 1, connectTimeoutMs: 1_000 });
    await store.waitUntilAvailable(new AbortController().signal);
    const stop = await hinder(store);
    await expect(commitBatch(store, [newEvent("evt_1")])).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining("today's partition") as string,
    });
    stop?.();
    await store.close();
    await migrated.close();
  });

  const makeNamesake = `
    DO $$ BEGIN
      EXECUTE format('CREATE TABLE penstock.%I ()', 'batches_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'));
    END $$`;

  /** The first two are for the insert and for the look at what is missing. Who asks meanwhile gets the connection next. */
  function holdThirdConnection(pool: Store["pool"]): () => void {
    let acquired = 0;
    let free: (() => void) | undefined;
    pool.on("acquire", () => {
      if (++acquired === 2) pool.connect((_error, _client, release) => (free = release));
    });
    return () => free?.();
  }

  test("are made while a reader holds the table, without waiting for it", async () => {
    const store = await openMigrated();
    await ensurePartitions(store);
    await store.pool.query(dropDay(1));
    const reader = await store.pool.connect();
    await reader.query("BEGIN");
    await reader.query("SELECT count(*) FROM penstock.events");
    expect(await ensurePartitions(store)).toHaveLength(4);
    await reader.query("ROLLBACK");
    reader.release();
    await store.close();
  });
});

test("every connection commits synchronously and bounds how long it holds rows", async () => {
  const store = await openMigrated();
  const setting = async (name: string) =>
    ((await store.pool.query("SELECT current_setting($1, true) AS value", [name])).rows[0] as { value: string }).value;
  expect(await setting("synchronous_commit")).toBe("on");
  expect(await setting("lock_timeout")).toBe("5s");
  expect(await setting("idle_in_transaction_session_timeout")).toBe("40s");
  const version = Number(await setting("server_version_num"));
  expect(await setting("transaction_timeout")).toBe(version >= 170_000 ? "3min" : null);
  await store.close();
});
