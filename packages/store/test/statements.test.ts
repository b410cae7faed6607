import { readdir } from "node:fs/promises";
import type { Store } from "@penstock/store";
import pg from "pg";
import { expect, test } from "vitest";
import { declared, type Statement } from "../src/connection/sql.ts";
import { openMigrated } from "./open-test-store.ts";

const src = new URL("../src/", import.meta.url);
const modules = (await readdir(src, { recursive: true })).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
);
for (const file of modules) await import(new URL(file, src).href);

/** What a statement takes and gives: the types of its parameters, and names and types of its columns. */
const describedAs = (
  parameters: readonly string[],
  columns: readonly (readonly [name: string, type: string])[],
): string => `(${parameters.join(", ")}) → ${columns.map((column) => column.join(" ")).join(", ")}`;

interface Described {
  dataTypeIDs: readonly number[];
  fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

/** pg's connection, as far as it can have a statement parsed and described without running it. */
interface Connection {
  parse(query: { readonly text: string }): void;
  describe(what: { readonly type: "S" }): void;
  sync(): void;
  once(event: "parameterDescription", listener: (message: Described) => void): void;
}

/** Has the server parse each statement, without running it, and say what it is; what it refuses is said by its error. */
async function describeAll(store: Store, statements: readonly Statement[]): Promise<string[]> {
  const { rows } = await store.pool.query<{ oid: number; name: string }>(
    "SELECT oid, CASE WHEN typname LIKE '\\_%' THEN substr(typname, 2) || '[]' ELSE typname END AS name FROM pg_type",
  );
  const names = new Map(rows.map(({ oid, name }) => [oid, name]));
  const nameOf = (oid: number): string => names.get(oid) ?? String(oid);
  // A pipeline takes no queries of one's own.
  const client = new pg.Client({ ...store.pool.options, pipeline: false });
  await client.connect();
  const describe = ({ config: { text } }: Statement): Promise<string> =>
    new Promise((resolve) => {
      let parameters: readonly string[] = [];
      let columns: readonly (readonly [string, string])[] = [];
      client.query({
        submit(connection: Connection) {
          connection.once("parameterDescription", ({ dataTypeIDs }) => {
            parameters = dataTypeIDs.map(nameOf);
          });
          connection.parse({ text });
          connection.describe({ type: "S" });
          connection.sync();
        },
        handleRowDescription({ fields }: Described) {
          columns = fields.map(({ name, dataTypeID }) => [name, nameOf(dataTypeID)]);
        },
        handleError: ({ message }: Error) => resolve(message),
        handleReadyForQuery: () => resolve(describedAs(parameters, columns)),
      } as never);
    });
  const described: string[] = [];
  for (const statement of statements) described.push(await describe(statement));
  await client.end();
  return described;
}

test("every statement is what it is declared to be: its parameters, and the names and types of its columns", async () => {
  const store = await openMigrated();
  const described = await describeAll(store, declared);
  const said = declared.map(({ parameters, columns }) =>
    describedAs(
      parameters.map(({ type }) => type),
      Object.entries(columns).map(([name, of]) => [name, typeof of === "string" ? of.replace("?", "") : of.type]),
    ),
  );
  const wrong = declared.flatMap(({ config: { text } }, at) =>
    described[at] === said[at] ? [] : [{ text, declared: said[at], described: described[at] }],
  );
  expect(wrong).toEqual([]);
  expect(declared.length).toBeGreaterThan(0);
  await store.close();
});

test("no two statements are prepared under one name", () => {
  const names = declared.flatMap(({ config: { name } }) => name ?? []);
  expect(names).toEqual([...new Set(names)]);
});
