import { wallClockMs } from "./wall-clock.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A length of time in milliseconds, e.g. of `30min`, `2h` or `3d`; undefined when the text is none. */
export function parseDuration(text: string): number | undefined {
  const [, count = "", unit = ""] = /^(\d{1,6}) ?(s|min|m|h|d)$/.exec(text) ?? [];
  const ms = UNITS[unit];
  return ms === undefined ? undefined : Number(count) * ms;
}

/** A moment: an ISO date or time, or how long ago, e.g. `2h` or `3d`; null when the text is neither. */
export function parseMoment(text: string): Date | null {
  const ms = parseDuration(text);
  if (ms !== undefined) return new Date(wallClockMs() - ms);
  const time = Date.parse(text);
  return /^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(time) ? new Date(time) : null;
}
