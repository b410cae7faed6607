import { hash } from "node:crypto";

/** What an event is known by in the dedupe ledger: SHA-256 of its source and its id as sent, in hex. */
export function keyOfId(source: string, id: string): string {
  // A NUL between parts: "ab" + "c" is not "a" + "bc". Neither a source nor the words in front hold one.
  if (id.isWellFormed()) return sha256(`id\0${source}\0${id}`);
  // UTF-8 has one replacement for every half of a surrogate pair: ids that differ there would become one.
  return sha256(Buffer.concat([Buffer.from(`id-utf16\0${source}\0`), Buffer.from(id, "utf16le")]));
}

/** The same for an event that has no id: SHA-256 of its source and its body. */
export function keyOfBody(source: string, body: Buffer): string {
  return sha256(Buffer.concat([Buffer.from(`body\0${source}\0`), body]));
}

/** The id of an event that is known by its body alone. */
export function idOfBody(body: Buffer): string {
  return `sha256-${sha256(body)}`;
}

/** The same where several parts tell it from all others. */
export function idOfParts(...parts: readonly (string | Buffer)[]): string {
  // A NUL between parts: "ab" + "c" is not "a" + "bc".
  const bytes = parts.flatMap((part) => [Buffer.from(part), Buffer.of(0)]).slice(0, -1);
  return idOfBody(Buffer.concat(bytes));
}

/** In hex: a string costs a quarter of what a small buffer does. */
function sha256(data: string | Buffer): string {
  return hash("sha256", data, "hex");
}
