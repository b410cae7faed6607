import { printTerm } from "./print-query.ts";
import { isField } from "./parse-query.ts";
import { FIELDS, type Place } from "./query.ts";
import { endOfWord, isBlank, scanHead } from "./scan-query.ts";

/** The values that this installation has, by key, and the paths that bodies have. */
export interface KnownValues {
  readonly type?: readonly string[];
  readonly source?: readonly string[];
  readonly handler?: readonly string[];
  readonly paths?: readonly string[];
}

/** What may stand at a position: `insert` replaces the characters of the completion's place. */
export interface CompletionOption {
  readonly insert: string;
  /** What it asks for, in English; null for a value. */
  readonly what: string | null;
  /** Whether the term is whole: a blank may follow. */
  readonly whole: boolean;
}

export interface Completion extends Place {
  readonly options: readonly CompletionOption[];
}

const AGES = ["15m", "1h", "2h", "24h", "7d"];
const MOST = 50;

/**
 * What may stand where the cursor is: keys, and after a key its values. Of values only those are offered that are known.
 *
 * @example
 * completeQuery("sta", 3, {}).options.map(({ insert }) => insert); // ["state:", "status:"]
 */
export function completeQuery(query: string, cursor: number, known: KnownValues): Completion {
  let from = 0;
  for (let at = 0; at < cursor;) {
    if (isBlank(query[at])) {
      at++;
      from = at;
      continue;
    }
    const to = endOfWord(query, at);
    from = to < cursor ? to : at;
    at = to;
  }
  const to = from < query.length && !isBlank(query[from]) ? endOfWord(query, from) : from;
  const typed = query.slice(from, cursor);
  const { not, pieces, op } = scanHead(typed, 0);
  const key = pieces[0]?.text ?? "";
  const minus = not ? "-" : "";
  const options =
    op === ""
      ? keysFor(typed.slice(minus.length), not, known)
      : op === ":" && isField(key)
        ? valuesFor(key, known)
        : agesFor(key, op);
  const matching = options
    .map((option) => ({ ...option, insert: minus + option.insert }))
    .filter(({ insert }) => insert.startsWith(typed) && insert !== typed);
  return { from, to, options: matching.slice(0, MOST) };
}

function keysFor(typed: string, not: boolean, { paths = [] }: KnownValues): CompletionOption[] {
  const fields = Object.entries(FIELDS).map(([key, { what }]) => ({ insert: `${key}:`, what, whole: false }));
  const times = [
    { insert: "age<", what: "received in the last …", whole: false },
    { insert: "age>", what: "received earlier than … ago", whole: false },
    { insert: "after:", what: "received at this time or later", whole: false },
    { insert: "before:", what: "received before this time", whole: false },
  ];
  // Of a body's members the beginning only, until somebody types it: they would hide the keys.
  const members = (typed === "" ? [] : paths).map((path) => ({
    insert: `${path}=`,
    what: "value in the body",
    whole: false,
  }));
  return [...fields, ...(not ? [] : times), ...members];
}

function valuesFor(key: keyof typeof FIELDS, known: KnownValues): CompletionOption[] {
  const listed =
    FIELDS[key].values ?? (key === "type" || key === "source" || key === "handler" ? known[key] : []) ?? [];
  const print = (value: string, prefix: boolean): CompletionOption => ({
    insert: printTerm({ kind: "field", key, value, prefix, not: false }),
    what: null,
    whole: true,
  });
  const groups =
    key === "type"
      ? [...new Set(listed.flatMap((type) => (type.includes(".") ? [type.slice(0, type.indexOf(".") + 1)] : [])))]
      : [];
  return [...groups.map((group) => print(group, true)), ...listed.map((value) => print(value, false))];
}

function agesFor(key: string, op: string): CompletionOption[] {
  if (key !== "age" || (op !== "<" && op !== ">")) return [];
  return AGES.map((age) => ({ insert: `age${op}${age}`, what: null, whole: true }));
}
