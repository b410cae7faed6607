/** Sets rows in columns, two blanks apart, without trailing blanks. */
export function formatColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, toCharacters(cell).length);
  }
  const pad = (cell: string, at: number) => cell + " ".repeat((widths[at] ?? 0) - toCharacters(cell).length);
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** Shortens text to a number of characters, the last of which is then an ellipsis. */
export function truncate(text: string, length: number): string {
  const characters = toCharacters(text);
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

const SEGMENTER = new Intl.Segmenter("en", { granularity: "grapheme" });

/** What a person counts as characters: an emoji of several code points is one. */
function toCharacters(text: string): string[] {
  return Array.from(SEGMENTER.segment(text), ({ segment }) => segment);
}
