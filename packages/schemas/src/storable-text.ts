/**
 * Whether Postgres can keep this string in a `text` or `jsonb` column unchanged: JSON allows NUL characters and half
 * surrogate pairs in strings, UTF-8 in Postgres does not, and one such value fails the whole statement.
 *
 * @example
 * isStorableText("cnt_1"); // true
 * isStorableText("cnt_\0"); // false
 */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

/**
 * The text with U+FFFD for what Postgres cannot keep, see {@link isStorableText}. For texts that others have a say in, such
 * as those of errors.
 *
 * @example
 * toStorableText("no \0 here"); // "no \ufffd here"
 */
export function toStorableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}
