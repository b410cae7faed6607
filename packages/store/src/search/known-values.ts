import { OWN_SOURCE } from "@penstock/schemas";
import type { KnownValues } from "@penstock/schemas/search";
import { query, type Store } from "../connection/create-store.ts";
import { readEvents } from "../events/read-events.ts";
import { sql, statement } from "../connection/sql.ts";

const RECENT = statement({
  rows: { day: "text", seq: "int8", source: "text", type: "text?" },
  text: sql`
    SELECT DISTINCT ON (source, type) day::text, seq, source, type
      FROM (SELECT day, seq, source, type FROM penstock.events e ORDER BY e.day DESC, e.seq DESC LIMIT 2000) AS recent
     ORDER BY source, type, recent.day DESC, recent.seq DESC LIMIT 200`,
});

const HANDLERS = statement({
  rows: { name: "text", types: "text[]" },
  text: sql`SELECT name, types FROM penstock.handlers ORDER BY name LIMIT 500`,
});

/** Of these bodies the paths are told: one of each type. */
const MOST_BODIES = 30;
const MOST_BYTES = 1_048_576;
const DEEPEST = 5;

/** What a query can ask for, as far as the newest events and the handlers tell: for completion. */
export async function listKnownValues(store: Store): Promise<Required<{ [Key in keyof KnownValues]: string[] }>> {
  const { rows: recent } = await query(store.pool, RECENT);
  const { rows: handlers } = await query(store.pool, HANDLERS);
  const pointers = recent.slice(0, MOST_BODIES).map(({ day, seq }) => ({ day, seq: Number(seq) }));
  const bodies = await readEvents(store.pool, pointers, MOST_BYTES);
  const sorted = (values: Iterable<string>): string[] => [...new Set(values)].toSorted();
  return {
    type: sorted([
      ...recent.flatMap(({ type }) => type ?? []),
      ...handlers.flatMap(({ types }) => types).filter((type) => !type.includes("*")),
    ]),
    source: sorted([...store.sources, OWN_SOURCE, ...recent.map(({ source }) => source)]),
    handler: handlers.map(({ name }) => name),
    paths: sorted(bodies.flatMap(({ body }) => pathsOf(body))),
  };
}

const NAME = /^[\p{L}_][\p{L}\p{N}_-]*$/u;

function pathsOf(body: Buffer): string[] {
  try {
    return pathsIn(JSON.parse(body.toString()), "", DEEPEST);
  } catch {
    return [];
  }
}

/** Paths to values that are no objects; what needs quotes is left out. */
function pathsIn(value: unknown, path: string, left: number): string[] {
  if (Array.isArray(value)) return left === 0 ? [] : pathsIn(value[0], path, left - 1);
  if (typeof value !== "object" || value === null) return path === "" ? [] : [path];
  if (left === 0) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    NAME.test(name) ? pathsIn(item, path === "" ? name : `${path}.${name}`, left - 1) : [],
  );
}
