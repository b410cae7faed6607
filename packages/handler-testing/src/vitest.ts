/** Vitest, when its tests are what runs; null with any other runner. */
export const vitest = process.env["VITEST"] ? await import("vitest").catch(() => null) : null;
