import type pg from "pg";
import { command, query, type Store } from "../connection/create-store.ts";
import { codeOf } from "../connection/errors.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { eraseArrivals } from "../events/arrivals.ts";
import { keepRetentionOut } from "../retention/run-retention.ts";
import { BLOCKS_AT_ONCE, type Cell, DAYS, PLACES } from "./text-places.ts";
import { createFinder, ERASED, type Finder, toLike, toPattern } from "./wanted.ts";

/** Values as the statements of texts take them: JSON writes some characters otherwise. */
function toTextValues(values: readonly string[]) {
  const all = [...new Set(values.flatMap((value) => [value, JSON.stringify(value).slice(1, -1)]))];
  return { likes: all.map(toLike), patterns: all.map(toPattern) };
}

/** A count of a table may have to read much of it. */
const COUNT_TIME_OUT = "5s";

/** In how many rows of which table the values stand; null: a count takes too long. */
export async function countTexts(store: Store, values: readonly string[]): Promise<Record<string, number | null>> {
  const counts: Record<string, number | null> = {};
  if (values.length === 0) return counts;
  const days = await readDays(store);
  for (const { table, daily, count } of PLACES) {
    counts[table] = await inTime(store, async (client) => {
      let all = 0;
      for (const day of daily ? days : [null]) {
        all += (await query(client, count, { day, ...toTextValues(values) })).rows[0]?.rows ?? 0;
      }
      return all;
    });
  }
  const bodies = await query(store.pool, BODIES);
  const { isInBody } = createFinder(values);
  counts["refused_requests"] =
    (counts["refused_requests"] ?? 0) + bodies.rows.filter(({ body }) => isInBody(body)).length;
  return counts;
}

async function inTime(
  store: Store,
  work: (client: Parameters<Parameters<typeof transaction>[1]>[0]) => Promise<number>,
): Promise<number | null> {
  try {
    return await transaction(store, async (client) => {
      await command(client, `SET LOCAL statement_timeout = '${COUNT_TIME_OUT}'`);
      return work(client);
    });
  } catch (error) {
    if (error instanceof Error && codeOf(error.cause) === "57014") return null;
    throw error;
  }
}

const readDays = async (store: Store): Promise<string[]> => (await query(store.pool, DAYS)).rows.map(({ day }) => day);

/**
 * Takes the values out of texts about other things, a piece of a table after another. `onPage` is called in between. Null: retention
 * moves a day, whose texts cannot be seen meanwhile.
 */
export async function eraseTexts(
  store: Store,
  values: readonly string[],
  onPage: () => Promise<void>,
): Promise<Record<string, number> | null> {
  const counts: Record<string, number> = {};
  if (values.length === 0) return counts;
  const finder = createFinder(values);
  for (const place of PLACES) {
    const { table } = place;
    for (const day of place.daily ? await readDays(store) : [null]) {
      let blocks = 1;
      for (let from = 0; from < blocks; from += BLOCKS_AT_ONCE) {
        const cleaned = await transaction(store, async (client) => {
          if (!(await keepRetentionOut(client))) return null;
          blocks = (await query(client, BLOCKS, { table: place.partOf(day) })).rows[0]?.blocks ?? 0;
          return cleanBlocks(client, place, { day, values, from }, finder);
        });
        if (cleaned === null) return null;
        if (cleaned > 0) counts[table] = (counts[table] ?? 0) + cleaned;
        await onPage();
      }
    }
  }
  const bodies = await eraseRefusedBodies(store, finder);
  if (bodies > 0) counts["refused_requests"] = (counts["refused_requests"] ?? 0) + bodies;
  const { rowCount } = await query(store.pool, LANES, toTextValues(values));
  if (rowCount) counts["lanes"] = rowCount;
  return counts;
}

// Null for a table that has gone meanwhile.
const BLOCKS = statement({
  rows: { blocks: "int4?" },
  text: sql`
    SELECT (pg_relation_size(to_regclass(${{ table: "text" }})) / current_setting('block_size')::int)::int AS blocks`,
});

/** Cleans the rows in some blocks of a table, and returns how many. */
async function cleanBlocks(
  client: pg.PoolClient,
  { columns, find, write }: (typeof PLACES)[number],
  { day, values, from }: { readonly day: string | null; readonly values: readonly string[]; readonly from: number },
  finder: Finder,
): Promise<number> {
  const span = { from: `(${from},0)`, to: `(${from + BLOCKS_AT_ONCE},0)` };
  const { rows } = await query(client, find, { day, ...toTextValues(values), ...span });
  let cleaned = 0;
  for (const { part, at, cells } of rows) {
    const clean = Object.entries(cells).map(([name, text]) => [name, takeOut(text, columns[name], finder)]);
    if (clean.every(([name, text]) => cells[name ?? ""] === text)) continue;
    cleaned++;
    await query(client, write, { part, at, cells: JSON.stringify(Object.fromEntries(clean)) });
  }
  return cleaned;
}

/** What is left of a cell; of JSON from which a value cannot be taken, nothing. */
function takeOut(text: string | null, cell: Cell | undefined, finder: Finder): string | null {
  if (text === null) return null;
  if (cell === "json-text") return eraseArrivals(text, new Set(), finder.takeOut);
  const clean = cell === "text" ? finder.takeOut(text) : JSON.stringify(inJson(JSON.parse(text), finder));
  if (clean !== text && !finder.isIn(clean)) return clean;
  if (!finder.isIn(text)) return text;
  return cell === "text" ? ERASED : JSON.stringify(cell === "list" ? [ERASED] : { erased: true });
}

function inJson(value: unknown, finder: Finder): unknown {
  if (typeof value === "string") return finder.takeOut(value);
  if (typeof value === "number") return finder.isIn(String(value)) ? ERASED : value;
  if (Array.isArray(value)) return value.map((item) => inJson(item, finder));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [finder.takeOut(key), inJson(item, finder)]));
}

const BODIES = statement({
  rows: { id: "int8", body: "bytea" },
  text: sql`SELECT id, body FROM penstock.refused_requests WHERE body IS NOT NULL ORDER BY id`,
});

const FORGET_BODY = statement({
  text: sql`UPDATE penstock.refused_requests SET body = NULL WHERE id = ${{ id: "int8" }}`,
});

/** Bodies of refused requests: of each source the last few are kept. */
async function eraseRefusedBodies(store: Store, { isInBody }: Finder): Promise<number> {
  const found = (await query(store.pool, BODIES)).rows.filter(({ body }) => isInBody(body));
  for (const { id } of found) await query(store.pool, FORGET_BODY, { id });
  return found.length;
}

// The mark of a lane in which nothing waits or runs. Other lanes are about events that came later.
const LANES = statement({
  text: sql`
    DELETE FROM penstock.lanes l
     WHERE lower(lane) LIKE ANY(${{ likes: "text[]" }}) AND lane ~* ANY(${{ patterns: "text[]" }})
       AND NOT EXISTS (SELECT FROM penstock.deliveries d
                        WHERE d.subscriber = l.subscriber AND d.lane = l.lane
                          AND d.state IN ('pending', 'running', 'retrying', 'dead'))`,
});
