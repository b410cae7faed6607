const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration: a number of them, or text like `250ms`, `90s`, `5m`, `1.5h`, `2d`. Throws on any other. */
export function parseDuration(duration: number | string): number {
  const [, count, unit] =
    typeof duration === "number" ? ["", duration, "ms"] : (/^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(duration) ?? []);
  const ms = Number(count) * (UNITS[unit ?? ""] ?? Number.NaN);
  if (!(ms >= 0) || !Number.isFinite(ms)) {
    throw new Error(
      `${JSON.stringify(duration)} is no duration: give milliseconds, or text like "90s", "5m", "1h", "2d"`,
    );
  }
  return Math.round(ms);
}
