/** What stands in the place of a value that is not shown. */
export const MASK = "•••";

/** Names of members, from the outermost on. Arrays have no part in it: a path leads to all of their items. */
export type MaskedPath = readonly string[];

/** Shorter values are not looked for in texts: they stand in much that says nothing. */
const LEAST_CHARACTERS = 4;

/**
 * A body with each value at or below one of these paths masked, in JSON or in a form; all else is as it was sent. `[[]]`: every
 * value of JSON, and nothing at all of what is no JSON. Of any other body nothing is shown, since nobody can tell where a value
 * ends.
 *
 * @example
 * maskBody(Buffer.from('{"data":{"from":"+39333","n":1}}'), [["data", "from"]]); // '{"data":{"from":"•••","n":1}}'
 */
export function maskBody(body: Buffer, paths: readonly MaskedPath[]): string {
  const text = body.toString();
  if (paths.length === 0) return text;
  const places = placesIn(text, paths);
  if (places === null) return MASK;
  let masked = "";
  let at = 0;
  for (const { from, to, isJson } of places) {
    masked += text.slice(at, from) + (isJson ? JSON.stringify(MASK) : MASK);
    at = to;
  }
  return masked + text.slice(at);
}

/** A function that masks in texts, e.g. messages of errors, what stands at these paths of a body. */
export function createHide(body: Buffer, paths: readonly MaskedPath[]): (text: string) => string {
  if (paths.length === 0) return (text) => text;
  const sent = body.toString();
  const values = new Set<string>();
  for (const { from, to, isJson } of placesIn(sent, paths) ?? [{ from: 0, to: sent.length, isJson: false }]) {
    const raw = sent.slice(from, to);
    const value = isJson ? textOf(raw) : decode(raw);
    // As it was sent, too: an error can quote a part of the body.
    for (const one of [value, raw.replace(/^"|"$/g, "")]) if (one.trim().length >= LEAST_CHARACTERS) values.add(one);
  }
  // The longest first: a value can be a part of another.
  const sorted = [...values].toSorted((a, b) => b.length - a.length);
  return (text) => {
    const hidden = sorted.reduce((left, value) => left.replaceAll(value, MASK), text);
    return sorted.reduce(hideCut, hidden);
  };
}

/** Masks the beginning of a value at the end of a text: texts are cut, e.g. what an endpoint answers. */
function hideCut(text: string, value: string): string {
  for (let length = Math.min(value.length - 1, text.length); length >= LEAST_CHARACTERS; length--) {
    if (text.endsWith(value.slice(0, length))) return text.slice(0, -length) + MASK;
  }
  return text;
}

interface Place {
  readonly from: number;
  readonly to: number;
  readonly isJson: boolean;
}

/** Where the values at these paths stand; null where that cannot be told. */
function placesIn(text: string, paths: readonly MaskedPath[]): Iterable<Place> | null {
  if (isJsonText(text)) return placesInJson(text, paths);
  const isForm = /^[^\s=&]+=\S*$/.test(text);
  return isForm && paths.every((path) => path.length > 0) ? placesInForm(text, paths) : null;
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text.replace(/^\uFEFF/, ""));
    return true;
  } catch {
    return false;
  }
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** The tokens are walked, since JSON.parse rounds long numbers and forgets one of two members with the same name. */
function* placesInJson(json: string, paths: readonly MaskedPath[]): Generator<Place> {
  const open: { readonly isObject: boolean; isName: boolean }[] = [];
  const names: string[] = [];
  for (const { 0: token, index: from } of json.matchAll(TOKEN)) {
    const inside = open.at(-1);
    if (token === "{" || token === "[") {
      open.push({ isObject: token === "{", isName: token === "{" });
      if (token === "{") names.push("");
    } else if (token === "}" || token === "]") {
      if (open.pop()?.isObject) names.pop();
    } else if (token === ",") {
      if (inside?.isObject) inside.isName = true;
    } else if (token === ":") {
      if (inside) inside.isName = false;
    } else if (inside?.isName) {
      names[names.length - 1] = textOf(token);
    } else if (paths.some((path) => path.every((name, at) => names[at] === name))) {
      yield { from, to: from + token.length, isJson: true };
    }
  }
}

function* placesInForm(form: string, paths: readonly MaskedPath[]): Generator<Place> {
  for (const { 0: pair, index } of form.matchAll(/[^&]+/g)) {
    const at = pair.indexOf("=");
    const name = decode(at === -1 ? pair : pair.slice(0, at));
    if (at === -1 || !paths.some(([first, ...rest]) => first === name && rest.length === 0)) continue;
    yield { from: index + at + 1, to: index + pair.length, isJson: false };
  }
}

const textOf = (token: string): string => (token.startsWith('"') ? (JSON.parse(token) as string) : token);

const decode = (text: string): string => new URLSearchParams(`v=${text}`).get("v") ?? "";
