/** The middle one; of an even number, the mean of the two in the middle. @throws when there is none */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error("there is no median of nothing");
  return (low + high) / 2;
}

/** The smallest value that this share (0 to 1) of all does not exceed. The values must be sorted. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** Median, 99th percentile and maximum of times in milliseconds; sorts them. */
export function describeTimes(times: Float64Array): { p50Ms: number; p99Ms: number; maxMs: number } {
  times.sort();
  return { p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99), maxMs: percentile(times, 1) };
}
