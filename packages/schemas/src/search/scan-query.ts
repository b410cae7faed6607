import type { Place } from "./query.ts";

/** A text between quotes, or a run of characters without quotes. */
export interface Piece extends Place {
  readonly text: string;
  readonly quoted: boolean;
  /** Whether the closing quote is missing. */
  readonly open: boolean;
}

export const isBlank = (character: string | undefined): boolean => character !== undefined && /\s/.test(character);

/** Reads a quoted text whose first quote stands at `from`. Backslashes escape a quote and a backslash. */
export function scanQuoted(query: string, from: number): Piece {
  let text = "";
  for (let at = from + 1; at < query.length; at++) {
    const character = query.charAt(at);
    if (character === '"') return { text, quoted: true, open: false, from, to: at + 1 };
    const next = query[at + 1];
    if (character === "\\" && (next === '"' || next === "\\")) {
      text += next;
      at++;
    } else {
      text += character;
    }
  }
  return { text, quoted: true, open: true, from, to: query.length };
}

/** Reads what is not quoted, up to a blank, a quote or one of `ends`. */
export function scanBare(query: string, from: number, ends: string): Piece {
  let to = from;
  while (to < query.length && !isBlank(query[to]) && !`"${ends}`.includes(query.charAt(to))) to++;
  return { text: query.slice(from, to), quoted: false, open: false, from, to };
}

/** The end of the word at `from`: blanks between quotes belong to the word. */
export function endOfWord(query: string, from: number): number {
  let at = from;
  while (at < query.length && !isBlank(query[at])) at = query[at] === '"' ? scanQuoted(query, at).to : at + 1;
  return at;
}

/** What stands before the operator of a term, the operator, and where the value begins. */
export interface Head extends Place {
  readonly not: boolean;
  /** The names of a path, or the one key, or the text. */
  readonly pieces: readonly Piece[];
  /** Empty where the word has no operator. */
  readonly op: "" | ":" | "=" | "<" | ">";
}

/** Reads a word of a query up to its operator. `to` is where the value begins. */
export function scanHead(query: string, from: number): Head {
  const not = query[from] === "-";
  const pieces: Piece[] = [];
  let at = not ? from + 1 : from;
  for (;;) {
    const piece = query[at] === '"' ? scanQuoted(query, at) : scanBare(query, at, ".:=<>");
    pieces.push(piece);
    at = piece.to;
    if (query[at] !== ".") break;
    at++;
  }
  const next = query[at];
  const op = next === ":" || next === "=" || next === "<" || next === ">" ? next : "";
  return { not, pieces, op, from, to: at + op.length };
}
