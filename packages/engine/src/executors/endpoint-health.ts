import type { EndpointHealth } from "../contract/engine-store.ts";

/** After so many failures in a row an endpoint is left alone for a while, whatever waits for it. */
const PARK_AFTER = 5;
const FIRST_PARK_MS = 10_000;
const LONGEST_PARK_MS = 300_000;

/** What became of a delivery, as far as it tells of its endpoint. */
export interface Sign {
  readonly ok: boolean;
  /** How long the endpoint asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number | null;
}

/** Whether an endpoint is about to be left alone: nothing more should be begun. */
export function looksDown(failedInARow: number): boolean {
  return failedInARow >= PARK_AFTER;
}

/** How an endpoint fares after some deliveries, in the order in which they ended; and whether it is left alone, and how long. */
export function afterDeliveries(
  before: EndpointHealth,
  signs: readonly Sign[],
  random: () => number,
): EndpointHealth & { readonly parkForMs: number | null } {
  let { failures, parks } = before;
  for (const { ok } of signs) {
    failures = ok ? 0 : failures + 1;
    if (ok) parks = 0;
  }
  const asked = Math.max(...signs.map(({ ok, retryAfterMs }) => (ok ? 0 : (retryAfterMs ?? 0))));
  const isDown = failures >= PARK_AFTER || (failures > 0 && parks > 0);
  if (!isDown && asked === 0) return { failures, parks, parkForMs: null };
  const parkMs = Math.min(LONGEST_PARK_MS, FIRST_PARK_MS * 2 ** Math.min(parks, 20)) * (0.8 + random() * 0.2);
  return { failures, parks: parks + 1, parkForMs: Math.ceil(Math.max(isDown ? parkMs : 0, asked)) };
}
