import { sliceJson } from "../json-slice.ts";
import type { BodyTerm, TextTerm } from "./query.ts";

/** Tells whether a body is as these terms ask. Terms of other kinds are not about bodies. */
export function matchBody(body: Buffer, terms: readonly (BodyTerm | TextTerm)[]): boolean {
  const json = parseJson(body);
  let text: string | undefined;
  return terms.every((term) => {
    if (term.kind === "body") return hasValue(body, json, term.path, term.value) !== term.not;
    text ??= fold(json === undefined ? body.toString() : textOf(json));
    return hasWords(text, fold(term.text)) !== term.not;
  });
}

/** Undefined where the body is no JSON. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return undefined;
  }
}

function hasValue(body: Buffer, json: unknown, path: readonly string[], value: string): boolean {
  const found = valuesAt(json, path);
  if (found.some((one) => isScalar(one) && String(one) === value)) return true;
  // JSON.parse rounds long numbers: what was sent is compared, too.
  return found.some((one) => typeof one === "number") && sliceJson(body, path)?.toString() === value;
}

const isScalar = (value: unknown): boolean => value === null || (typeof value !== "object" && value !== undefined);

/** The values at a path. An array gives its items, unless the next name is the index of one. */
function valuesAt(value: unknown, [name, ...rest]: readonly string[]): unknown[] {
  if (Array.isArray(value)) {
    if (name !== undefined && /^\d+$/.test(name)) return valuesAt(value[Number(name)], rest);
    return value.flatMap((item) => valuesAt(item, name === undefined ? [] : [name, ...rest]));
  }
  if (name === undefined) return [value];
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return [];
  return valuesAt((value as Readonly<Record<string, unknown>>)[name], rest);
}

/** Names and values, one after another, without recursion: bodies are nested as senders like. */
function textOf(json: unknown): string {
  const texts: string[] = [];
  const left: unknown[] = [json];
  while (left.length > 0) {
    const value = left.pop();
    if (Array.isArray(value)) {
      for (const item of value) left.push(item);
    } else if (typeof value === "object" && value !== null) {
      for (const [name, item] of Object.entries(value)) {
        texts.push(name);
        left.push(item);
      }
    } else {
      texts.push(String(value));
    }
  }
  return texts.join("\n");
}

/** Upper and lower case are one. Of letters beyond ASCII only those whose lower case is a single letter. */
const fold = (text: string): string => text.toLowerCase();

const WORD = /[a-z0-9_]/;

/** Whether these words stand in a text whole: what is before and after them is no part of a word. */
function hasWords(text: string, words: string): boolean {
  const startsWord = WORD.test(words.charAt(0));
  const endsWord = WORD.test(words.charAt(words.length - 1));
  for (let at = text.indexOf(words); at !== -1; at = text.indexOf(words, at + 1)) {
    const isStart = !startsWord || !WORD.test(text.charAt(at - 1));
    const isEnd = !endsWord || !WORD.test(text.charAt(at + words.length));
    if (isStart && isEnd) return true;
  }
  return false;
}
