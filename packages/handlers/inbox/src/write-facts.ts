import { CompiledQuery, type Transaction } from "kysely";
import type { Fact } from "./facts.ts";
import { keyOf, mergeFacts } from "./merge-facts.ts";
import { fromRow, type Row, selectStatement, toRow, upsertStatement } from "./stored-rows.ts";
import { type MergedTable, TABLES } from "./tables.ts";

const STATEMENTS = new Map(
  TABLES.map((table) => [table, { select: selectStatement(table), upsert: upsertStatement(table) }]),
);

interface StoredRow {
  readonly fact: Fact;
  readonly revision: string;
}

/** How often rows may turn out to have changed meanwhile. Once is usual under load; they are locked from then on. */
const MAX_ROUNDS = 3;

/**
 * Merges facts into the rows of a table: reads the rows, merges, and writes those that changed, unless another
 * transaction changed them meanwhile; those are then locked, read and merged anew.
 *
 * A row to which nothing is added is neither written nor locked. That is safe since rows only ever grow newer: what is no
 * news now will be none when this transaction commits. It lets workers add to the same conversation side by side.
 */
export async function writeFacts(tx: Transaction<unknown>, table: MergedTable, facts: readonly Fact[]): Promise<void> {
  let left = facts;
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const lookFirst = !table.mostlyNew || round > 1;
    const stored = lookFirst ? await readRows(tx, table, left) : new Map<string, StoredRow>();
    const rows: Row[] = [];
    left = left.filter((fact) => {
      const known = stored.get(keyOf(fact));
      const merged = known === undefined ? fact : mergeFacts(known.fact, fact);
      if (merged === known?.fact) return false;
      rows.push(toRow(merged));
      return true;
    });
    if (rows.length === 0) return;
    const written = await upsert(
      tx,
      table,
      rows,
      left.flatMap((fact) => stored.get(keyOf(fact)) ?? []),
    );
    left = left.filter((fact) => !written.has(keyOf(fact)));
    if (left.length === 0) return;
  }
  throw new Error(`${left.length} rows of ${table.name} cannot be written: does a trigger hold them back?`);
}

/** Returns the keys of the rows that were written. */
async function upsert(
  tx: Transaction<unknown>,
  table: MergedTable,
  rows: readonly Row[],
  expected: readonly StoredRow[],
): Promise<Set<string>> {
  // By fromEntries, since an id may well be `__proto__`, which cannot be assigned.
  const revisions = Object.fromEntries(
    [...Map.groupBy(expected, ({ fact }) => fact.source)].map(([source, ofSource]) => [
      source,
      Object.fromEntries(ofSource.map(({ fact, revision }) => [fact.id, revision])),
    ]),
  );
  const statement = STATEMENTS.get(table)?.upsert ?? "";
  const written = await query<{ source: string; id: string }>(tx, statement, [
    JSON.stringify(rows),
    JSON.stringify(revisions),
  ]);
  return new Set(written.map(keyOf));
}

async function readRows(
  tx: Transaction<unknown>,
  table: MergedTable,
  facts: readonly Fact[],
): Promise<Map<string, StoredRow>> {
  const statement = STATEMENTS.get(table)?.select ?? "";
  const rows = await query<Row & { revision: string }>(tx, statement, [
    facts.map(({ source }) => source),
    facts.map(({ id }) => id),
  ]);
  return new Map(
    rows.map(({ revision, ...row }) => {
      const fact = fromRow(table, row);
      return [keyOf(fact), { fact, revision }];
    }),
  );
}

async function query<R>(tx: Transaction<unknown>, text: string, parameters: unknown[]): Promise<R[]> {
  return (await tx.executeQuery<R>(CompiledQuery.raw(text, parameters))).rows;
}
