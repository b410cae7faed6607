import { printable } from "./printable.ts";

/**
 * One JSON object as one line. JSON.stringify leaves some characters raw that steer terminals or end lines for some
 * readers; they can stand in strings only, where their escapes mean the same.
 */
export function toJsonLine(value: object): string {
  return printable(JSON.stringify(value));
}
