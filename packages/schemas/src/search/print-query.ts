import { AGE_UNITS, FIELDS, type Term } from "./query.ts";

/** A text in quotes, as a query has it. */
export const quote = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;

/** What needs no quotes wherever it stands. */
const PLAIN = /^[\p{L}\p{N}_][\p{L}\p{N}_-]*$/u;
const RESERVED = new Set([...Object.keys(FIELDS), "after", "before", "age"]);

/**
 * Writes a query in its canonical form: the same terms are written the same, and are read as they were.
 *
 * @example
 * printQuery([{ kind: "age", op: "<", ms: 7_200_000 }]); // "age<2h"
 */
export function printQuery(terms: readonly Term[]): string {
  return terms.map(printTerm).join(" ");
}

/** One term as a query has it. */
export function printTerm(term: Term): string {
  const not = "not" in term && term.not ? "-" : "";
  switch (term.kind) {
    case "field":
      return `${not}${term.key}:${printField(term.value, term.prefix)}`;
    case "time":
      return `${term.key}:${term.at.replace(/(?::00)?\.000Z$/, "Z")}`;
    case "age":
      return `age${term.op}${printAge(term.ms)}`;
    case "body":
      return `${not}${printPath(term.path)}=${printValue(term.value)}`;
    case "text":
      return `${not}${PLAIN.test(term.text) ? term.text : quote(term.text)}`;
  }
}

function printField(value: string, prefix: boolean): string {
  // A star is the only character that means something in a value.
  return value.includes("*") ? quote(value) : prefix ? `${value}*` : printValue(value);
}

const printValue = (value: string): string => (/^[^\s"]+$/.test(value) ? value : quote(value));

function printPath(path: readonly string[]): string {
  const [first = ""] = path;
  const isReserved = path.length === 1 && RESERVED.has(first);
  return path.map((name) => (PLAIN.test(name) && !isReserved ? name : quote(name))).join(".");
}

function printAge(ms: number): string {
  const [unit, unitMs] = AGE_UNITS.find(([, each]) => ms >= each && ms % each === 0) ?? ["s", 1_000];
  return `${Math.floor(ms / unitMs)}${unit}`;
}
