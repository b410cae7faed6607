import { hash } from "node:crypto";

/** What an event is known by in the dedupe ledger: the hash of its source and its id as sent. */
export function keyOfId(source: string, id: string): string {
  // A NUL between parts: "ab" + "c" is not "a" + "bc". Neither a source nor the words in front hold one.
  if (id.isWellFormed()) return ledgerHash(`id\0${source}\0${id}`);
  // UTF-8 has one replacement for every half of a surrogate pair: ids that differ there would become one.
  return ledgerHash(Buffer.concat([Buffer.from(`id-utf16\0${source}\0`), Buffer.from(id, "utf16le")]));
}

/** The same for an event that has no id: the hash of its source and its body. */
export function keyOfBody(source: string, body: Buffer): string {
  return ledgerHash(Buffer.concat([Buffer.from(`body\0${source}\0`), body]));
}

/**
 * The first 128 bits of SHA-256, in hex: as a uuid, the ledger and its index take half of the room. Only who can sign can
 * choose what is hashed, and would need some 2^64 events to find two that are alike.
 */
export function ledgerHash(data: string | Buffer): string {
  return sha256(data).slice(0, 32);
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
