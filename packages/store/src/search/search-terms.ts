import { toStorableText } from "@penstock/schemas";
import {
  type BodyTerm,
  EVENT_STATUSES,
  type FieldKey,
  type FieldTerm,
  type Term,
  type TextTerm,
  timesOf,
} from "@penstock/schemas/search";
import { query, type Store } from "../connection/create-store.ts";
import { forEachWord, hashOfProperty, probesOf } from "./event-words.ts";
import { sql, statement } from "../connection/sql.ts";

/** What a query asks for, as the statements take it. Null where it does not ask. */
export interface Conditions {
  /** Patterns of LIKE. */
  readonly types: readonly string[] | null;
  readonly notTypes: readonly string[] | null;
  readonly sources: readonly string[] | null;
  readonly notSources: readonly string[] | null;
  readonly subjects: readonly string[] | null;
  readonly notSubjects: readonly string[] | null;
  readonly ids: readonly string[] | null;
  readonly notIds: readonly string[] | null;
  /** Names: a wildcard stands for those that are registered. */
  readonly handlers: readonly string[] | null;
  readonly notHandlers: readonly string[] | null;
  readonly states: readonly string[] | null;
  readonly notStates: readonly string[] | null;
  readonly statuses: readonly string[] | null;
  readonly since: Date | null;
  readonly until: Date | null;
  /** What a filter of words must have; see event-words.ts. */
  readonly probes: readonly number[] | null;
}

export interface Search {
  readonly conditions: Conditions;
  /** What only the bodies tell. */
  readonly bodyTerms: readonly (BodyTerm | TextTerm)[];
  /** Whether the query says nothing of time, so that the bodies of the last day alone are read. */
  readonly isBounded: boolean;
}

/** How far back bodies are read unless a query says a time. */
export const BODY_WINDOW_MS = 86_400_000;

const NAMES = statement({
  rows: { name: "text" },
  text: sql`SELECT name FROM penstock.handlers WHERE name LIKE ANY(${{ patterns: "text[]" }}) ORDER BY name`,
});

/** Makes of a query's terms what the statements take. */
export async function toSearch(store: Store, terms: readonly Term[], nowMs: number): Promise<Search> {
  const bodyTerms = terms.filter((term) => term.kind === "body" || term.kind === "text");
  const { since, until } = timesOf(terms, nowMs);
  const isBounded = bodyTerms.length > 0 && since === null && until === null;
  const fields = terms.filter((term) => term.kind === "field");
  const of = (key: FieldKey, not: boolean): readonly FieldTerm[] =>
    fields.filter((term) => term.key === key && term.not === not);
  const plain = (key: FieldKey, not: boolean) => nullIfEmpty(of(key, not).map(({ value }) => toStorableText(value)));
  const patterns = (key: FieldKey, not: boolean) => nullIfEmpty(of(key, not).map(toPattern));
  // A name is taken as it stands: deliveries outlive their subscriber.
  const named = async (not: boolean): Promise<string[] | null> => {
    const asked = of("handler", not);
    if (asked.length === 0) return null;
    const names = asked.filter(({ prefix }) => !prefix).map(({ value }) => toStorableText(value));
    const wild = asked.filter(({ prefix }) => prefix).map(toPattern);
    if (wild.length === 0) return names;
    return [...names, ...(await query(store.pool, NAMES, { patterns: wild })).rows.map(({ name }) => name)];
  };
  const notStatuses = of("status", true).map(({ value }) => value);
  const conditions: Conditions = {
    types: patterns("type", false),
    notTypes: patterns("type", true),
    sources: patterns("source", false),
    notSources: patterns("source", true),
    subjects: plain("subject", false),
    notSubjects: plain("subject", true),
    ids: nullIfEmpty(of("id", false).map(({ value }) => value)),
    notIds: plain("id", true),
    handlers: await named(false),
    notHandlers: await named(true),
    states: plain("state", false),
    notStates: plain("state", true),
    statuses: plain("status", false) ?? (notStatuses.length > 0 ? [...EVENT_STATUSES] : null),
    since: isBounded ? new Date(nowMs - BODY_WINDOW_MS) : since,
    until,
    probes: toProbes(terms),
  };
  const { statuses } = conditions;
  return {
    conditions: { ...conditions, statuses: statuses && statuses.filter((status) => !notStatuses.includes(status)) },
    bodyTerms,
    isBounded,
  };
}

const nullIfEmpty = (items: string[]): string[] | null => (items.length === 0 ? null : items);

function toPattern({ value, prefix }: FieldTerm): string {
  return toStorableText(value).replace(/[\\%_]/g, "\\$&") + (prefix ? "%" : "");
}

/** So many words a statement looks for; each has eight places. */
export const MOST_WORDS = 4;

/** The places of the words that every event has which is found; null where there are none to go by. */
function toProbes(terms: readonly Term[]): number[] | null {
  const rare: number[] = [];
  const common: number[] = [];
  for (const key of ["subject", "type", "source"] as const) {
    const asked = terms.filter((term) => term.kind === "field" && term.key === key && !term.not) as FieldTerm[];
    const [only] = asked;
    // One of several values cannot be told by one filter; nor can a beginning that ends within a name.
    if (only === undefined || asked.length > 1 || (only.prefix && !(key === "type" && only.value.endsWith("."))))
      continue;
    (key === "source" ? common : rare).push(hashOfProperty(key, toStorableText(only.value)));
  }
  for (const term of terms) {
    if (term.kind === "text" && !term.not) forEachWord(Buffer.from(term.text), false, (hash) => rare.push(hash));
    if (term.kind !== "body" || term.not) continue;
    // 1.5 may have been sent as 1.50.
    const value = term.value.replace(/^(-?\d+)\.\d+$/, "$1");
    forEachWord(Buffer.from(value), false, (hash) => rare.push(hash));
    // The index of an item is not written in the body.
    const names = term.path.filter((name) => !/^\d+$/.test(name));
    for (const name of names) forEachWord(Buffer.from(name), false, (hash) => common.push(hash));
  }
  const words = [...rare, ...common].slice(0, MOST_WORDS);
  const [first] = words;
  if (first === undefined) return null;
  // Statements take a fixed number of words: the first one is asked for again.
  while (words.length < MOST_WORDS) words.push(first);
  return words.flatMap(probesOf);
}
