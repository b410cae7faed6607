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
