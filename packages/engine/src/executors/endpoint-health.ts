import type { EndpointHealth } from "../contract/engine-store.ts";

/** The circuit opens after this many failures in a row. */
const OPEN_AFTER = 5;
const SHORTEST_OPEN_MS = 10_000;
const LONGEST_OPEN_MS = 300_000;

/** What one request says about the health of its endpoint. */
export interface HealthSignal {
  readonly ok: boolean;
  /** The wait that the endpoint asked for with Retry-After, in milliseconds. */
  readonly retryAfterMs: number | null;
}

/** Whether so many failures in a row open the circuit once they are written: no request should start meanwhile. */
export function opensCircuit(failuresInARow: number): boolean {
  return failuresInARow >= OPEN_AFTER;
}

/** While the circuit is half open, one request at a time probes the endpoint. */
export function isHalfOpen({ openings }: Pick<EndpointHealth, "openings">): boolean {
  return openings > 0;
}

/**
 * The circuit breaker. Takes signals in the order in which their requests ended; `openForMs` is how long the circuit is
 * open from now on, or null while it stays closed.
 */
export function applySignals(
  before: EndpointHealth,
  signals: readonly HealthSignal[],
  random: () => number,
): EndpointHealth & { readonly openForMs: number | null } {
  let { failures, openings } = before;
  for (const { ok } of signals) {
    failures = ok ? 0 : failures + 1;
    if (ok) openings = 0;
  }
  const askedMs = Math.max(...signals.map(({ ok, retryAfterMs }) => (ok ? 0 : (retryAfterMs ?? 0))));
  const isDown = opensCircuit(failures) || (failures > 0 && isHalfOpen({ openings }));
  if (!isDown && askedMs === 0) return { failures, openings, openForMs: null };
  const backoffMs = Math.min(LONGEST_OPEN_MS, SHORTEST_OPEN_MS * 2 ** Math.min(openings, 20)) * (0.8 + random() * 0.2);
  return { failures, openings: openings + 1, openForMs: Math.ceil(Math.max(isDown ? backoffMs : 0, askedMs)) };
}
