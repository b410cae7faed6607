/** The time of day in this browser: to say how long ago something was. */
// oxlint-disable-next-line eslint/no-restricted-properties -- of what people read
export const wallClockMs = (): number => Date.now();
