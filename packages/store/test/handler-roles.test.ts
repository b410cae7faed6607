import { randomBytes } from "node:crypto";
import type { SavepointOutcome } from "@penstock/engine";
import { defineHandler, type TransactionalHandler } from "@penstock/handler-sdk";
import { createEngineStore, findHandlerRoles, migrate, type Store } from "@penstock/store";
import { createTestDatabase } from "@penstock/testing";
import { sql, type Transaction } from "kysely";
import { beforeEach, describe, expect, test } from "vitest";
import { open, openMigrated } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  return () => store.close();
});

/** A handler whose schema has these tables. */
function handler(
  name: string,
  { tables = ["things"], ...declared }: { tables?: string[]; reads?: string[]; writes?: string[] } = {},
): TransactionalHandler {
  const migrations = Object.fromEntries(
    tables.map((table) => [
      table,
      { up: async (db: never) => void (await sql.raw(`CREATE TABLE ${table} (id bigserial, note text)`).execute(db)) },
    ]),
  );
  return defineHandler({ name, on: ["message.sent"], migrations, handle: () => undefined, ...declared });
}

/** Runs statements as the handlers of these schemas would, in one transaction; what became of each. */
async function run(...statements: [schema: string, statement: string][]): Promise<string[]> {
  const engineStore = createEngineStore(store, "roles", await findHandlerRoles(store));
  return engineStore.transaction(async (tx) => {
    const outcomes: string[] = [];
    for (const [schema, statement] of statements) {
      const outcome = await tx.savepoint(schema, async (db) => void (await sql.raw(statement).execute(db)));
      outcomes.push(describeOutcome(outcome));
      await tx.registered(); // ours to read in between
    }
    return outcomes;
  });
}

const describeOutcome = (outcome: SavepointOutcome): string =>
  outcome.ok ? "ok" : outcome.error instanceof Error ? outcome.error.message : String(outcome.error);

describe("a handler", () => {
  test("writes its own schema, and sees no other that it does not declare", async () => {
    await migrate(store, [handler("one"), handler("two")]);
    const outcomes = await run(
      ["one", "INSERT INTO things (note) VALUES ('mine')"],
      ["two", "SELECT * FROM one.things"],
      ["one", "SELECT * FROM penstock.events"],
      ["two", "DELETE FROM things"],
      ["one", "CREATE TABLE made_here (id int)"],
    );
    expect(outcomes).toEqual([
      "ok",
      "permission denied for schema one",
      "permission denied for schema penstock",
      "ok",
      "ok",
    ]);
  });

  test("reads what it declares to read, also tables that come later, and no longer once it does not", async () => {
    const reader = handler("reader", { reads: ["one"] });
    await migrate(store, [reader, handler("one")]);
    await migrate(store, [handler("one", { tables: ["things", "tools"] })]);
    const statements: Parameters<typeof run> = [
      ["reader", "SELECT * FROM one.things"],
      ["reader", "SELECT * FROM one.tools"],
      ["reader", "INSERT INTO one.things (note) VALUES ('not mine')"],
    ];
    expect(await run(...statements)).toEqual(["ok", "ok", "permission denied for table things"]);
    await migrate(store, [handler("reader")]);
    expect(await run(...statements)).toEqual(Array(3).fill("permission denied for schema one"));
  });

  test("writes what it declares to write, down to its sequences", async () => {
    await store.pool.query("CREATE SCHEMA app; CREATE TABLE app.orders (id bigserial PRIMARY KEY, note text)");
    await migrate(store, [handler("writer", { writes: ["app"] })]);
    expect(await run(["writer", "INSERT INTO app.orders (note) VALUES ('new')"])).toEqual(["ok"]);
  });

  test("that declares a schema that does not exist stops the migration, which says so", async () => {
    await expect(migrate(store, [handler("reader", { reads: ["nowhere"] })])).rejects.toMatchObject({
      code: "HANDLER_ACCESS",
      message: "handler reader reads schema nowhere, which does not exist",
    });
  });

  test("keeps its role over migrations, and gets it anew where it is gone", async () => {
    await migrate(store, [handler("one")]);
    const roles = await findHandlerRoles(store);
    const role = roles.get("one") ?? "";
    await migrate(store, [handler("one")]);
    expect(await findHandlerRoles(store)).toEqual(roles);
    await store.pool.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    expect(await findHandlerRoles(store)).toEqual(new Map());
    await migrate(store, [handler("one")]);
    expect(await run(["one", "SELECT * FROM things"])).toEqual(["ok"]);
  });
});

test.each([
  ["runs a statement", async (db: Transaction<unknown>) => void (await sql`SELECT 1`.execute(db))],
  [
    "swallows its errors",
    (db: Transaction<unknown>) =>
      sql`SELECT 1`
        .execute(db)
        .then(String, String)
        .then(() => undefined),
  ],
  ["throws an error of its own", () => Promise.reject(new Error("something else"))],
  ["runs nothing", () => Promise.resolve()],
])("a handler whose role is gone and that %s fails for that reason, and no other handler does", async (_, work) => {
  await migrate(store, [handler("one"), handler("two")]);
  const roles = await findHandlerRoles(store);
  const role = roles.get("one") ?? "";
  await store.pool.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
  const outcomes = await createEngineStore(store, "roles", roles).transaction(async (tx) => [
    await tx.savepoint("one", work),
    await tx.savepoint("two", async (db) => void (await sql`INSERT INTO things (note) VALUES ('x')`.execute(db))),
  ]);
  expect(outcomes).toMatchObject([
    {
      ok: false,
      error: { code: "HANDLER_ACCESS", message: expect.stringContaining(`role "${role}" does not exist`) as string },
    },
    { ok: true },
  ]);
});

/** A store on a database of its own, as a role that may do no more than own it, and `rights`. */
async function asPoorRole(rights: string, work: (poor: Store) => Promise<void>): Promise<void> {
  const name = `poor_${randomBytes(4).toString("hex")}`;
  const database = await createTestDatabase();
  const url = new URL(database.url);
  await store.pool.query(`CREATE ROLE ${name} LOGIN PASSWORD 'poor' ${rights}`);
  await store.pool.query(`ALTER DATABASE ${url.pathname.slice(1)} OWNER TO ${name}`);
  url.username = name;
  url.password = "poor";
  const poor = open(url.href);
  try {
    await work(poor);
  } finally {
    await poor.close();
    await database.drop();
    await store.pool.query(`DROP ROLE ${name}`);
  }
}

test("where no roles may be made, all is migrated all the same, and handlers are not kept apart", async () => {
  await asPoorRole("", async (poor) => {
    await migrate(poor, [handler("poor")]);
    expect(await findHandlerRoles(poor)).toEqual(new Map());
  });
});

test("a role that its member may not take on is none", async () => {
  await asPoorRole("CREATEROLE", async (poor) => {
    await migrate(poor, [handler("poor")]);
    const role = (await findHandlerRoles(poor)).get("poor");
    expect(role).toBeDefined();
    // Before 16 who is a member may.
    const { rows } = await poor.pool.query<{ version: number }>(
      "SELECT current_setting('server_version_num')::int AS version",
    );
    const lacks = (rows[0]?.version ?? 0) >= 160_000 ? "SET OPTION FOR " : "";
    await poor.pool.query(`REVOKE ${lacks}"${role}" FROM CURRENT_USER`);
    expect(await findHandlerRoles(poor)).toEqual(new Map());
  });
});
