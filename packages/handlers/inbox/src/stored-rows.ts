import type { Cell, Fact } from "./facts.ts";
import type { MergedTable } from "./tables.ts";

// A row's `versions`: `newest` is the greatest of its cells' versions, and nearly always the version of all of them. Cells
// that are older have theirs beside it, by name; the keys of a map have theirs under the map's name.

/** A row as it stands in its table. */
export type Row = Record<string, unknown>;

/** What a row says, from a fact. */
export function toRow({ table, source, id, cells, entries, times }: Fact): Row {
  const row: Row = { source, [table.id]: id, ...times };
  const versions: Row = {};
  let newest = "";
  for (const { version } of cells.values()) if (version > newest) newest = version;
  if (cells.size > 0) versions["newest"] = newest;
  for (const [name, { version, values }] of cells) {
    Object.assign(row, values);
    if (version !== newest) versions[name] = version;
  }
  if (table.map !== undefined) {
    const each = (read: (cell: Cell) => unknown): Row =>
      Object.fromEntries([...entries].map(([key, cell]) => [key, read(cell)]));
    row[table.map] = each(({ values }) => values["value"]);
    if (entries.size > 0) versions[table.map] = each(({ version }) => version);
  }
  return { ...row, versions };
}

/** The opposite of {@link toRow}, from what Postgres returns. */
export function fromRow(table: MergedTable, row: Row): Fact {
  const versions = row["versions"] as Record<string, string>;
  const cells = new Map<string, Cell>();
  for (const columns of table.cells) {
    const [first = ""] = Object.keys(columns);
    if (row[first] === null) continue;
    const values = Object.fromEntries(Object.keys(columns).map((column) => [column, withoutDate(row[column])]));
    cells.set(first, { version: versions[first] ?? versions["newest"] ?? "", values });
  }
  const entries = new Map<string, Cell>();
  if (table.map !== undefined) {
    const values = row[table.map] as Row;
    const ofEntries = (versions[table.map] ?? {}) as Readonly<Record<string, string>>;
    for (const [key, version] of Object.entries(ofEntries))
      entries.set(key, { version, values: { value: values[key] } });
  }
  const times: Record<string, string> = {};
  for (const column of [...table.earliest, ...table.latest]) {
    const time = row[column];
    if (time instanceof Date) times[column] = time.toISOString();
  }
  return { table, source: row["source"] as string, id: row[table.id] as string, cells, entries, times };
}

/** Reads rows by key; parameters: their sources and their ids. `revision` changes with each write of a row. */
export function selectStatement({ name, id }: MergedTable): string {
  return `
    SELECT stored.*, stored.xmin::text AS revision
      FROM unnest($1::text[], $2::text[]) AS wanted (source, id)
      JOIN ${name} AS stored ON stored.source = wanted.source AND stored.${id} = wanted.id`;
}

/**
 * Inserts rows, or overwrites them where they still have the revision that is expected, and returns the keys of what it
 * wrote. Parameters: a JSON array of rows, distinct by key, and the expected revisions as `{ source: { id: revision } }`.
 * What it did not write is locked all the same, so that the next try succeeds; in the order of the keys, or two workers
 * could wait for each other.
 */
export function upsertStatement({ name, id, cells, map, earliest, latest }: MergedTable): string {
  const types: Record<string, string> = { source: "text", [id]: "text" };
  for (const columns of cells) Object.assign(types, columns);
  if (map !== undefined) types[map] = "jsonb";
  for (const column of [...earliest, ...latest]) types[column] = "timestamptz";
  types["versions"] = "jsonb";
  const columns = Object.keys(types);
  const written = columns.slice(2);
  return `
    INSERT INTO ${name} AS stored (${columns.join(", ")})
    SELECT told.*
      FROM json_to_recordset($1::json) AS told (${columns.map((column) => `${column} ${types[column]}`).join(", ")})
     ORDER BY told.source COLLATE "C", told.${id} COLLATE "C"
        ON CONFLICT (source, ${id}) DO UPDATE
       SET ${written.map((column) => `${column} = excluded.${column}`).join(", ")}
     WHERE stored.xmin::text = $2::jsonb->excluded.source->>excluded.${id}
 RETURNING stored.source, stored.${id} AS id`;
}

function withoutDate(value: unknown): unknown {
  return value instanceof Date ? value.toISOString() : value;
}
