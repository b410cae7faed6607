// Control characters drive a terminal (colours, titles, pasted input), and marks of writing direction make text look like
// other text; line separators and halves of a character break columns.
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f" };

/**
 * Text that came from outside, made safe to print: whatever would steer a terminal or hide itself is written as in JSON,
 * `\n` or `\u001b`. With `keepLines`, line feeds and tabs stay as they are.
 *
 * @example
 * printable("evt_\u001b[31m"); // "evt_\\u001b[31m"
 */
export function printable(text: string, { keepLines = false } = {}): string {
  return text.replace(UNSAFE, (character) => {
    if (keepLines && (character === "\n" || character === "\t")) return character;
    return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
