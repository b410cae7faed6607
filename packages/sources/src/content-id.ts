import { hash } from "node:crypto";

/** An id for an event whose provider gives it none: a hash of what tells it from all others. */
export function contentId(...parts: readonly (string | Buffer)[]): string {
  // A NUL between parts: "ab" + "c" is not "a" + "bc".
  const bytes = parts.flatMap((part) => [Buffer.from(part), Buffer.of(0)]).slice(0, -1);
  return `sha256-${hash("sha256", Buffer.concat(bytes), "hex")}`;
}
