import { parseCreatedAt } from "../time.ts";
import {
  AGE_UNITS,
  type FieldKey,
  FIELDS,
  MAX_QUERY_LENGTH,
  type ParsedQuery,
  type Place,
  type QueryError,
  type Term,
} from "./query.ts";
import { quote } from "./print-query.ts";
import { endOfWord, type Head, isBlank, type Piece, scanBare, scanHead, scanQuoted } from "./scan-query.ts";

const KEYS = [...Object.keys(FIELDS), "after", "before", "age"];

export const isField = (key: string): key is FieldKey => Object.hasOwn(FIELDS, key);

/**
 * Reads a query. Blanks separate its terms; a minus in front of a term leaves out what the term finds. Never throws: what is
 * wrong comes back with its place and what would be right.
 *
 * @example
 * parseQuery("type:message.* -state:succeeded data.contactId=cnt_1 age<2h");
 */
export function parseQuery(query: string): ParsedQuery {
  if (query.length > MAX_QUERY_LENGTH) {
    const message = `a query has ${MAX_QUERY_LENGTH} characters at most, and this one has ${query.length}`;
    return { ok: false, errors: [{ from: MAX_QUERY_LENGTH, to: query.length, message }] };
  }
  const terms: Term[] = [];
  const places: Place[] = [];
  const errors: QueryError[] = [];
  for (let at = 0; at < query.length;) {
    if (isBlank(query[at])) {
      at++;
      continue;
    }
    const to = endOfWord(query, at);
    const read = readTerm(query, at, to);
    if ("message" in read) {
      errors.push(read);
    } else {
      terms.push(read);
      places.push({ from: at, to });
    }
    at = to;
  }
  return errors.length > 0 ? { ok: false, errors } : { ok: true, terms, places };
}

function readTerm(query: string, from: number, to: number): Term | QueryError {
  const head = scanHead(query, from);
  const open = head.pieces.find((piece) => piece.open);
  if (open !== undefined) return unclosed(open);
  if (head.op === "") return readText(query, head, to);
  const value = query[head.to] === '"' ? scanQuoted(query, head.to) : scanBare(query, head.to, "");
  if (value.open) return unclosed(value);
  if (value.to < to) {
    const message = `quotes stand around a whole value: write ${quote(query.slice(head.to, to).replaceAll('"', ""))}`;
    return { from: value.to, to, message };
  }
  if (head.op === "=") return readBody(head, value);
  const [key] = head.pieces;
  const isKey = key !== undefined && head.pieces.length === 1 && !key.quoted;
  if (head.op !== ":") {
    return isKey && key.text === "age" ? readAge(head, value, head.op) : noComparison(query, head, to);
  }
  if (!isKey) return noKey(query, head, to);
  if (isField(key.text)) return readField(head, key.text, value);
  if (key.text === "after" || key.text === "before") return readTime(head, key.text, value);
  if (key.text === "age") {
    return { from, to, message: "write age<2h for younger than two hours, age>2h for older" };
  }
  return noKey(query, head, to);
}

function readText(query: string, { not, pieces, from, to: end }: Head, to: number): Term | QueryError {
  const start = not ? from + 1 : from;
  if (start === to) return { from, to, message: "after - comes what is to be left out: -type:message.*" };
  const [only] = pieces;
  const isQuoted = pieces.length === 1 && only?.quoted === true;
  if (end < to || (!isQuoted && pieces.some(({ quoted }) => quoted))) {
    const message = `quotes stand around a whole text: write ${quote(query.slice(start, to).replaceAll('"', ""))}`;
    return { from: start, to, message };
  }
  const text = isQuoted ? only.text : query.slice(start, to);
  if (!/[\p{L}\p{N}_]/u.test(text)) {
    return { from: start, to, message: "a text to look for has at least one letter or digit" };
  }
  if (!isQuoted && text.endsWith("*")) {
    return { from: start, to, message: `whole words are looked for, without *: write ${quote(text.slice(0, -1))}` };
  }
  return { kind: "text", text, not };
}

function readBody({ not, pieces, from, to }: Head, value: Piece): Term | QueryError {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined && !first.quoted && KEYS.includes(first.text)) {
    const message = `write ${first.text}${first.text === "age" ? "<2h" : `:${value.text}`}, or "${first.text}"=${value.text} for a member of the body that is called so`;
    return { from, to, message };
  }
  const empty = pieces.find(({ text, quoted }) => text === "" && !quoted);
  if (empty !== undefined) {
    return { from: empty.from, to, message: "the name of a member is missing: write data.contactId=cnt_1" };
  }
  if (value.text === "" && !value.quoted) {
    return {
      from,
      to: value.to,
      message: 'the value is missing: write data.contactId=cnt_1, or ="" for an empty text',
    };
  }
  return { kind: "body", path: pieces.map(({ text }) => text), value: value.text, not };
}

function readField({ not, from }: Head, key: FieldKey, { text, quoted, from: at, to }: Piece): Term | QueryError {
  const { example, wildcard, values } = FIELDS[key];
  if (text === "") return { from, to, message: `the value is missing: write ${key}:${example}` };
  const star = quoted ? -1 : text.indexOf("*");
  if (star !== -1 && !(wildcard && star === text.length - 1)) {
    const message = wildcard
      ? `a * may stand at the end only: write ${key}:${example}, or ${quote(text)} for the character itself`
      : `${key}: takes no *: write ${key}:${example}, or ${quote(text)} for the character itself`;
    return { from: at + star, to: at + star + 1, message };
  }
  if (values !== undefined && !values.includes(text)) {
    return { from: at, to, message: `there is no ${key} ${text}: it is one of ${values.join(", ")}` };
  }
  return { kind: "field", key, value: star === -1 ? text : text.slice(0, -1), prefix: star !== -1, not };
}

function readTime({ not, from }: Head, key: "after" | "before", { text, from: at, to }: Piece): Term | QueryError {
  const time = parseCreatedAt(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (time === null) {
    return {
      from: at,
      to,
      message: `this is no time: write ${key}:2026-01-01 or ${key}:2026-01-01T00:00Z (with its zone)`,
    };
  }
  if (not) return { from, to, message: `a time takes no -: write ${key === "after" ? "before" : "after"}:${text}` };
  return { kind: "time", key, at: time.toISOString() };
}

function readAge({ not, from }: Head, { text, from: at, to }: Piece, op: "<" | ">"): Term | QueryError {
  const [, count, unit] = /^(\d{1,6})(s|m|min|h|d)$/.exec(text) ?? [];
  const unitMs = AGE_UNITS.find(([name]) => name === (unit === "min" ? "m" : unit))?.[1];
  if (unitMs === undefined) {
    return { from: at, to, message: `this is no age: write age${op}30m, age${op}2h or age${op}3d` };
  }
  if (not) return { from, to, message: `an age takes no -: write age${op === "<" ? ">" : "<"}${text}` };
  return { kind: "age", op, ms: Number(count) * unitMs };
}

const unclosed = ({ from, to }: Piece): QueryError => ({ from, to, message: 'the closing " is missing' });

function noComparison(query: string, { from, not, op }: Head, to: number): QueryError {
  const text = quote(query.slice(not ? from + 1 : from, to).replaceAll('"', ""));
  return { from, to, message: `${op} compares the age only: write age${op}2h, or ${text} to look for this text` };
}

function noKey(query: string, { pieces, from, not, to: end }: Head, to: number): QueryError {
  const start = not ? from + 1 : from;
  const key = query.slice(start, end - 1);
  const text = quote(query.slice(start, to).replaceAll('"', ""));
  const message =
    pieces.length > 1
      ? `a value in the body is asked for by =: write ${key}=${query.slice(end, to) || "cnt_1"}, or ${text} to look for this text`
      : `there is no key ${key === "" ? '""' : key}: the keys are ${KEYS.join(", ")}; write ${text} to look for this text`;
  return { from: start, to: end - 1 > start ? end - 1 : end, message };
}
