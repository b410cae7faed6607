import { parseQuery, type Term } from "@penstock/schemas/search";
import { UsageError } from "./cli-error.ts";
import { printable } from "./output/printable.ts";

/** A query in the language of the console. @throws UsageError that shows where the query is wrong, and what would be right. */
export function readQuery(text: string): readonly Term[] {
  const parsed = parseQuery(text);
  if (parsed.ok) return parsed.terms;
  const [first] = parsed.errors;
  const at = first?.from ?? 0;
  const shown = printable(text);
  // What was escaped is no longer where it was.
  const mark = shown === text ? `\n  ${shown}\n  ${" ".repeat(at)}^` : ` (at character ${at + 1})`;
  throw new UsageError(`The query is not understood: ${printable(first?.message ?? "")}${mark}`);
}
