import { column, sql, statement } from "../connection/sql.ts";
import { partitionOf } from "../retention/list-days.ts";
import { PARTITION_DAYS, type PartitionedTable } from "../schema/partitions.ts";

/** How a column holds what it says: a text, JSON in a column of that type, JSON in a text, a list of texts. */
export type Cell = "text" | "json" | "jsonb" | "json-text" | "list";

interface Columns {
  readonly columns: Readonly<Record<string, Cell>>;
}

/** `daily`: it is partitioned by day, and looked through day by day. */
type Place = Columns &
  ({ readonly table: PartitionedTable; readonly daily: true } | { readonly table: string; readonly daily?: false });

/** Where a value may stand beside the events that it was found in. A test asks a decision for each column of each table. */
export const TEXT_PLACES: readonly Place[] = [
  { table: "attempts", columns: { error_class: "text", error_message: "text", note: "text" }, daily: true },
  { table: "effects", columns: { result: "json" }, daily: true },
  { table: "batches", columns: { arrivals: "json-text" }, daily: true },
  { table: "quarantine", columns: { detail: "text" } },
  { table: "refused_requests", columns: { address: "text", path: "text", headers: "jsonb", findings: "list" } },
  { table: "issues", columns: { title: "text", note: "text" } },
  { table: "endpoints", columns: { last_error: "text", disabled_reason: "text" } },
  { table: "issue_channels", columns: { last_error: "text" } },
  { table: "replays", columns: { reason: "text", subject: "text", request: "jsonb" } },
  { table: "dry_runs", columns: { report: "json" } },
  { table: "audit_log", columns: { target: "text", detail: "json" } },
  { table: "idempotency_keys", columns: { answer: "jsonb" } },
];

const ofDay = { day: "date?" } as const;
const values = { likes: "text[]", patterns: "text[]" } as const;

// By LIKE first: a pattern costs more. Parameters are the same for all.
const matches = (columns: Columns["columns"]): string =>
  Object.entries(columns)
    .map(([name, cell]) => `lower(${toText(name, cell)}) LIKE ANY(likes) AND ${toText(name, cell)} ~* ANY(patterns)`)
    .join(" OR ");
const toText = (name: string, cell: Cell): string =>
  cell === "list" ? `array_to_json(${name})::text` : cell === "json" || cell === "jsonb" ? `${name}::text` : name;
const fromCells = (name: string, cell: Cell): string => {
  const text = `(w.cells ->> '${name}')`;
  if (cell === "list") return `ARRAY(SELECT json_array_elements_text(${text}::json))`;
  return cell === "json" || cell === "jsonb" ? `${text}::${cell}` : text;
};

/** So many blocks of a table are looked through by one transaction: 2 MiB. */
export const BLOCKS_AT_ONCE = 256;

const wanted = sql`(SELECT ${ofDay}, ${values}) AS w (wanted_day, likes, patterns)`;

/** The statements of each place. A row is found again by where it lies: it is locked until then. */
export const PLACES = TEXT_PLACES.map((place) => {
  const { table, columns, daily = false } = place;
  const from = sql`penstock.${table} t, ${wanted} WHERE ${daily ? "t.day = w.wanted_day AND " : ""}(${matches(columns)})`;
  const names = Object.keys(columns);
  return {
    table,
    columns,
    daily,
    /** The table that holds the rows of a day, or all of them. */
    partOf: (day: string | null): string =>
      place.daily && day !== null ? partitionOf(place.table, day) : `penstock.${table}`,
    count: statement({ rows: { rows: "int4" }, text: sql`SELECT count(*)::int AS rows FROM ${from}` }),
    find: statement({
      rows: { part: "int8", at: "text", cells: column<Record<string, string | null>>("json") },
      text: sql`
        SELECT t.tableoid::int8 AS part, t.ctid::text AS at,
               json_build_object(${names.map((name) => `'${name}', ${toText(name, columns[name] ?? "text")}`).join(", ")}) AS cells
          FROM ${from} AND t.ctid >= ${{ from: "text" }}::tid AND t.ctid < ${{ to: "text" }}::tid FOR UPDATE OF t`,
    }),
    write: statement({
      text: sql`
        UPDATE penstock.${table} t
           SET ${names.map((name) => `${name} = ${fromCells(name, columns[name] ?? "text")}`).join(", ")}
          FROM (SELECT ${{ cells: "json" }} AS cells) AS w
         WHERE t.ctid = ${{ at: "text" }}::tid AND t.tableoid = ${{ part: "int8" }}::oid`,
    }),
  };
});

export const DAYS = statement({
  rows: { day: "text" },
  text: sql`SELECT day::text FROM (${PARTITION_DAYS}) AS partition WHERE day <= (now() AT TIME ZONE 'UTC')::date ORDER BY 1`,
});
