/** Cc, Cf (bidirectional marks, zero width), Zl and Zp, and halves of surrogate pairs. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * What somebody else wrote, fit for a terminal, a log and a `text` column: what cannot be seen is escaped as in JSON,
 * and the text ends after so many characters.
 */
export function printable(text: string, maxLength: number): string {
  const escaped = text
    .slice(0, maxLength)
    .replace(UNPRINTABLE, (character) => SHORT[character] ?? escapeUnits(character));
  // Cut again, since escapes are longer, and not within one.
  return escaped.length <= maxLength
    ? escaped
    : escaped.slice(0, maxLength).replace(/(?:\\(?:u[0-9a-f]{0,3})?|[\ud800-\udbff])$/, "");
}

function escapeUnits(character: string): string {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
  ).join("");
}
