import { matchBody, toStorableText } from "@penstock/schemas";
import type { Term } from "@penstock/schemas/search";

/**
 * Whose data is to be erased, told by one value. `subject`: an id of what events are about; `value`: a text wherever it stands,
 * e.g. a phone number; `where`: a value at a path of the body.
 */
export type ErasedValue =
  | { readonly kind: "subject"; readonly value: string }
  | { readonly kind: "value"; readonly value: string }
  | { readonly kind: "where"; readonly path: readonly string[]; readonly value: string };

/** A shorter value stands in too much that is about others: it is looked for only where it was said to be. */
export const LEAST_CHARACTERS = 4;

/** What stands in place of a value. */
export const ERASED = "[erased]";

/** What a value is called without saying it, e.g. `subject` or `data.phone`. */
export const kindOf = (wanted: ErasedValue): string => (wanted.kind === "where" ? wanted.path.join(".") : wanted.kind);

/** Whether it is looked for wherever it may stand, and not only where it was said to be. */
export const isAnywhere = ({ kind, value }: ErasedValue): boolean =>
  kind !== "where" && value.length >= LEAST_CHARACTERS;

/** Whether texts in which it stands are rewritten. */
export const isInTexts = ({ value }: ErasedValue): boolean => value.length >= LEAST_CHARACTERS;

// A value stands where it is no part of a longer word, address or number: cnt_1 not in cnt_10, nor in cnt_1-b.
const escape = (value: string): string => value.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
const startsWord = (value: string): boolean => /^[\p{L}\p{N}_]/u.test(value);
const toRegExp = (value: string): RegExp =>
  new RegExp(
    `(?<![\\p{L}\\p{N}_])${startsWord(value) ? "(?<![\\p{L}\\p{N}_][-.@+])" : ""}${escape(value)}(?![\\p{L}\\p{N}_])(?![-.@][\\p{L}\\p{N}_])`,
    "giu",
  );

/**
 * The same as a regular expression of Postgres, for `~*`. It finds a value behind an escape of JSON, too, such as the `n` of a line
 * break: what is found is looked at once more by a {@link Finder}.
 */
export const toPattern = (value: string): string => {
  const before = `((?<![[:alnum:]_])|(?<=\\\\[bfnrt])|(?<=\\\\u[0-9a-f]{4}))${startsWord(value) ? "((?<![[:alnum:]_][-.@+])|(?<=\\\\[bfnrt][-.@+]))" : ""}`;
  const escaped = toStorableText(value).replace(/[^\p{L}\p{N}\s]/gu, "\\$&");
  return `${before}${escaped}(?![[:alnum:]_])(?![-.@][[:alnum:]_])`;
};

/** For LIKE, on a text in lower case: whether a value is a part of it, whatever is around. */
export const toLike = (value: string): string =>
  `%${toStorableText(value)
    .toLowerCase()
    .replace(/[\\%_]/g, "\\$&")}%`;

/** Tells whether a value stands in a text, and takes it out. */
export interface Finder {
  isIn(text: string): boolean;
  /** Whether it is any part of a text: for names that others make of it. */
  isPartOf(text: string): boolean;
  /** Looks into the strings and names of JSON, and into what a form has encoded. */
  isInBody(body: Buffer): boolean;
  takeOut(text: string): string;
}

export function createFinder(values: readonly string[]): Finder {
  const patterns = values.map(toRegExp);
  const isIn = (text: string): boolean => patterns.some((pattern) => text.search(pattern) !== -1);
  const parts = values.map((value) => value.toLowerCase());
  return {
    isIn,
    isPartOf: (text) => parts.some((part) => text.toLowerCase().includes(part)),
    isInBody(body) {
      const text = body.toString();
      return isIn(text) || isIn(textOf(text));
    },
    takeOut: (text) => patterns.reduce((left, pattern) => left.replace(pattern, ERASED), text),
  };
}

/** The names and texts of JSON, else a form as it was before it was encoded. */
function textOf(body: string): string {
  try {
    const texts: string[] = [];
    const left: unknown[] = [JSON.parse(body)];
    while (left.length > 0) {
      const value = left.pop();
      if (typeof value === "string") texts.push(value);
      if (typeof value !== "object" || value === null) continue;
      for (const [name, item] of Object.entries(value)) {
        texts.push(name);
        left.push(item);
      }
    }
    return texts.join("\n");
  } catch {
    return body.replace(/\+/g, " ").replace(/(?:%[0-9a-f]{2})+/gi, decode);
  }
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/** One search for events that may have a value, and what decides about each that it finds. */
export interface Look {
  readonly wanted: ErasedValue;
  readonly terms: readonly Term[];
  readonly accepts: (event: { readonly subjects: readonly string[]; readonly body: Buffer }) => boolean;
}

// Without a time, a search for what bodies have reads those of the last day.
const EVER: Term = { kind: "time", key: "after", at: "1970-01-01T00:00:00.000Z" };

/** How events are found that have one of the values. */
export function toLooks(all: readonly ErasedValue[]): Look[] {
  return all.flatMap((wanted): Look[] => {
    const { value } = wanted;
    if (wanted.kind === "where") {
      const term = { kind: "body", path: wanted.path, value, not: false } as const;
      return [{ wanted, terms: [term, EVER], accepts: ({ body }) => matchBody(body, [term]) }];
    }
    const looks: Look[] = [];
    if (wanted.kind === "subject") {
      const term = { kind: "field", key: "subject", value, prefix: false, not: false } as const;
      looks.push({ wanted, terms: [term, EVER], accepts: ({ subjects }) => subjects.includes(toStorableText(value)) });
    }
    if (!isAnywhere(wanted)) return looks;
    const { isInBody } = createFinder([value]);
    // Filters of words know a form as it was sent.
    for (const text of new Set([value, encodeURIComponent(value)])) {
      looks.push({ wanted, terms: [{ kind: "text", text, not: false }, EVER], accepts: ({ body }) => isInBody(body) });
    }
    return looks;
  });
}
