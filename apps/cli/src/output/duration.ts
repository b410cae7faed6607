const UNITS = [
  { name: "d", ms: 86_400_000 },
  { name: "h", ms: 3_600_000 },
  { name: "min", ms: 60_000 },
  { name: "s", ms: 1_000 },
] as const;

/** A length of time in its largest whole unit: `0 s`, `59 s`, `3 min`, `2 h`, `400 d`. Negative ones, of clocks that differ, are `0 s`. */
export function formatAge(ms: number): string {
  const unit = UNITS.find((each) => ms >= each.ms) ?? UNITS[3];
  return `${Math.max(0, Math.floor(ms / unit.ms))} ${unit.name}`;
}

/** A measured time: `0.4 ms`, `38 ms`, `1.5 s`, `61 s`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${Number((ms / 1_000).toFixed(1))} s` : `${Math.round(ms / 1_000)} s`;
}
