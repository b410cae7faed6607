/**
 * The time of day by this host's clock, in milliseconds since 1970: to sign with, to compare with a time that another
 * host wrote, to show. The clock can jump, so a duration is never the difference of two of these: `performance.now()`
 * measures durations.
 */
export function wallClockMs(): number {
  // eslint-disable-next-line no-restricted-properties -- callers say by this function's name that they mean the time of day
  return Date.now();
}
