import { isUtf8 } from "node:buffer";
import { sliceJson, sliceJsonItems } from "@penstock/schemas";

/** What became of reading a body. */
export type ParsedBody =
  | {
      readonly ok: true;
      readonly value: unknown;
      /**
       * The JSON text that `value` was read from, of which endpoints get the exact bytes. Without it they get `value` as
       * JSON.stringify writes it, so leave it out where `value` is something else.
       */
      readonly json?: Buffer;
    }
  | { readonly ok: false; readonly problem: "not-utf8" | "not-json" };

/**
 * Reads bytes as JSON in strict UTF-8; a byte order mark in front is skipped, as RFC 8259 allows. Never throws.
 * Decoding invalid bytes to U+FFFD instead would make two different ids one.
 */
export function parseJsonBody(body: Buffer): ParsedBody {
  if (!isUtf8(body)) return { ok: false, problem: "not-utf8" };
  const json = withoutMark(body);
  try {
    return { ok: true, value: JSON.parse(json.toString()) as unknown, json };
  } catch {
    return { ok: false, problem: "not-json" };
  }
}

function withoutMark(body: Buffer): Buffer {
  const hasMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  return hasMark ? body.subarray(3) : body;
}

/**
 * Reads bytes as a form (application/x-www-form-urlencoded): an object of strings, of lists of them where a name is there
 * several times. Never throws.
 */
export function parseFormBody(body: Buffer): ParsedBody {
  if (!isUtf8(body)) return { ok: false, problem: "not-utf8" };
  const form: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of new URLSearchParams(body.toString())) {
    const before = form[name];
    if (before === undefined) form[name] = value;
    // Not copied: a form of one name a hundred thousand times would take minutes.
    else if (Array.isArray(before)) before.push(value);
    else form[name] = [before, value];
  }
  return { ok: true, value: { ...form } };
}

/** Whether a JSON value is an object (not an array, not null), whose fields may then be looked at. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What stands at a path in a JSON body, a number as it was written there: a double would round the ids of some providers,
 * and make two of them one.
 */
export function textAt(body: Buffer, data: unknown, path: readonly string[]): unknown {
  let value = data;
  for (const name of path) value = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return typeof value === "number" ? sliceJson(body, path)?.toString() : value;
}

/**
 * The exact bytes of each item of a body that is a JSON array; none where it is not, or not whole. What is not UTF-8 in one
 * item says nothing of the others.
 */
export function itemsOfBody(body: Buffer): Buffer[] {
  const json = withoutMark(body);
  try {
    JSON.parse(json.toString());
  } catch {
    return [];
  }
  return sliceJsonItems(json);
}

/** A body's object, `{}` where it holds none. */
export function toObject(parsed: ParsedBody): Readonly<Record<string, unknown>> {
  return parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
}
