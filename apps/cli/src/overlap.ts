import { parseDuration } from "@penstock/schemas";
import { InvalidArgumentError } from "commander";

/** How long the secret before a new one counts, too, unless it is told otherwise. */
export const OVERLAP_MS = 86_400_000;
const LONGEST_OVERLAP_MS = 365 * 86_400_000;

/** A parser for how long that is to be. */
export function parseOverlap(text: string): number {
  const ms = text === "0" ? 0 : parseDuration(text);
  if (ms !== undefined && ms > LONGEST_OVERLAP_MS) throw new InvalidArgumentError("It must be 365d at most.");
  if (ms === undefined) throw new InvalidArgumentError("It must be a length of time, e.g. 24h or 7d, or 0.");
  return ms;
}
