import type { Term } from "./query.ts";

/** The same query for another time: what it had of times is gone. A query without a time speaks of all times. */
export function setTime(
  terms: readonly Term[],
  { after, before }: { readonly after?: Date; readonly before?: Date },
): Term[] {
  return [
    ...terms.filter(({ kind }) => kind !== "time" && kind !== "age"),
    ...(after ? [{ kind: "time", key: "after", at: after.toISOString() } as const] : []),
    ...(before ? [{ kind: "time", key: "before", at: before.toISOString() } as const] : []),
  ];
}

/** Between which times events are meant: the latest of the lower bounds, the earliest of the upper ones. */
export function timesOf(
  terms: readonly Term[],
  nowMs: number,
): { readonly since: Date | null; readonly until: Date | null } {
  const since: number[] = [];
  const until: number[] = [];
  for (const term of terms) {
    if (term.kind === "time") (term.key === "after" ? since : until).push(Date.parse(term.at));
    if (term.kind === "age") (term.op === "<" ? since : until).push(nowMs - term.ms);
  }
  return {
    since: since.length === 0 ? null : new Date(Math.max(...since)),
    until: until.length === 0 ? null : new Date(Math.min(...until)),
  };
}
