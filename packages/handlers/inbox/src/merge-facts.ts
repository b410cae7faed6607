import type { Cell, Fact } from "./facts.ts";

/**
 * What two facts about the same row say together: of each cell the one with the greater version, of each time the earlier
 * or the later. It can be done in any order, grouped in any way and any number of times. Returns `a` itself where `b` adds
 * nothing.
 */
export function mergeFacts(a: Fact, b: Fact): Fact {
  const cells = mergeCells(a.cells, b.cells);
  const entries = mergeCells(a.entries, b.entries);
  const times = mergeTimes(a, b);
  if (cells === a.cells && entries === a.entries && times === a.times) return a;
  return { ...a, cells, entries, times };
}

/** Merges facts into one for each row. */
export function foldFacts(facts: readonly Fact[]): Fact[] {
  const rows = new Map<string, Fact>();
  for (const fact of facts) {
    const known = rows.get(keyOf(fact));
    rows.set(keyOf(fact), known === undefined ? fact : mergeFacts(known, fact));
  }
  return [...rows.values()];
}

/** Tells the rows of a table apart. */
export function keyOf({ source, id }: Pick<Fact, "source" | "id">): string {
  return JSON.stringify([source, id]);
}

function mergeCells(a: ReadonlyMap<string, Cell>, b: ReadonlyMap<string, Cell>): ReadonlyMap<string, Cell> {
  const newer = [...b].filter(([name, { version }]) => {
    const known = a.get(name);
    return known === undefined || version > known.version;
  });
  return newer.length === 0 ? a : new Map([...a, ...newer]);
}

function mergeTimes(a: Fact, b: Fact): Fact["times"] {
  const better = Object.entries(b.times).filter(([column, time]) => {
    const known = a.times[column];
    return known === undefined || (a.table.earliest.includes(column) ? time < known : time > known);
  });
  return better.length === 0 ? a.times : { ...a.times, ...Object.fromEntries(better) };
}
