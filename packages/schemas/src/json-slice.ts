const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/**
 * The exact bytes of the value at a path in a JSON text: names of members, and indexes where there are arrays. `null` where
 * the path leads to nothing. Of two members with one name the last one counts, as it does for `JSON.parse`.
 *
 * `JSON.parse` rounds numbers that a double cannot hold and forgets how they were written. The slice does neither, and
 * nesting of any depth is walked without recursion. The bytes must be what `JSON.parse` accepts, a byte order mark in
 * front included; of others the result means nothing.
 *
 * @example
 * sliceJson(Buffer.from('{"order":{"id":9007199254740993}}'), ["order", "id"])?.toString(); // "9007199254740993"
 */
export function sliceJson(json: Buffer, path: readonly string[]): Buffer | null {
  let at: number | null = startOfValue(json);
  for (const name of path) {
    at = json[at] === OPEN_ARRAY ? findItem(json, at, name) : findMember(json, at, name);
    if (at === null) return null;
  }
  return json.subarray(at, endOfValue(json, at));
}

/** The exact bytes of each item of a JSON array, in order; none where the JSON text is no array. See {@link sliceJson}. */
export function sliceJsonItems(json: Buffer): Buffer[] {
  const start = startOfValue(json);
  return json[start] === OPEN_ARRAY ? Array.from(itemsOf(json, start), ([at, end]) => json.subarray(at, end)) : [];
}

/**
 * The exact bytes of each member's value of a JSON object, by name; none where the JSON text is no object. Walks the text
 * once, where {@link sliceJson} would walk it for each name.
 */
export function sliceJsonMembers(json: Buffer): Map<string, Buffer> {
  const members = Array.from(membersOf(json, startOfValue(json)));
  return new Map(members.map(([name, at, end]) => [toName(name), json.subarray(at, end)]));
}

/** Where each item of the array that begins at `start` begins and ends. */
function* itemsOf(json: Buffer, start: number): Generator<readonly [number, number]> {
  let at = skipBlanks(json, start + 1);
  // An empty array has its closing bracket here, which is a value of no bytes.
  for (let end = endOfValue(json, at); end > at; end = endOfValue(json, at)) {
    yield [at, end];
    const next = skipBlanks(json, end);
    if (json[next] !== COMMA) break;
    at = skipBlanks(json, next + 1);
  }
}

/** Where the item with this index begins; `null` where the array that begins at `start` has none. */
function findItem(json: Buffer, start: number, index: string): number | null {
  let passed = 0;
  for (const [at] of itemsOf(json, start)) if (String(passed++) === index) return at;
  return null;
}

function startOfValue(json: Buffer): number {
  const hasByteOrderMark = json[0] === 0xef && json[1] === 0xbb && json[2] === 0xbf;
  return skipBlanks(json, hasByteOrderMark ? 3 : 0);
}

/** Where the value of an object's member begins; `null` where no object begins at `start`, or it has no such member. */
function findMember(json: Buffer, start: number, name: string): number | null {
  let found: number | null = null;
  for (const [quoted, at] of membersOf(json, start)) if (toName(quoted) === name) found = at;
  return found;
}

/** The name in quotes of each member of the object that begins at `start`, and where its value begins and ends. */
function* membersOf(json: Buffer, start: number): Generator<readonly [string, number, number]> {
  if (json[start] !== OPEN_OBJECT) return;
  let at = skipBlanks(json, start + 1);
  while (json[at] === QUOTE) {
    const endOfName = endOfString(json, at);
    const value = skipBlanks(json, skipBlanks(json, endOfName) + 1);
    const end = endOfValue(json, value);
    yield [json.toString("utf8", at, endOfName), value, end];
    const next = skipBlanks(json, end);
    if (json[next] !== COMMA) break;
    at = skipBlanks(json, next + 1);
  }
}

function toName(quoted: string): string {
  return quoted.includes("\\") ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/** Where a value that begins at `start` ends: `start` itself where none begins. */
function endOfValue(json: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = endOfString(json, at) - 1;
      if (depth === 0) return at + 1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth++;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || isBlank(byte))) {
      return at;
    }
  }
  return json.length;
}

/** Where a string whose first quote is at `start` ends, its last quote included. */
function endOfString(json: Buffer, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    if (json[at] === QUOTE) return at + 1;
    if (json[at] === BACKSLASH) at++;
  }
  return json.length;
}

function skipBlanks(json: Buffer, start: number): number {
  let at = start;
  while (isBlank(json[at])) at++;
  return at;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
