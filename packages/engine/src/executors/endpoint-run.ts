import type { EngineContext, Outbound } from "../contract/engine-context.ts";
import type { ClaimedEffect, EndpointHealth } from "../contract/engine-store.ts";
import type { RateLimiter } from "../delivery/rate-limiter.ts";
import { isHalfOpen, opensCircuit } from "./endpoint-health.ts";
import type { EndedDelivery, SigningEndpoint } from "./try-endpoint.ts";

/** How many deliveries are prefetched per request in flight, where answers come within {@link QUICK_MS}. */
const PREFETCH = 3;
const QUICK_MS = 1_000;
/** The most prefetched deliveries of all endpoints together: each holds its event in memory. */
const MOST_PREFETCHED = 1_000;
/** After a time slice the settings are read again, or another endpoint gets the slot. */
const TIME_SLICE_MS = 5_000;
/**
 * Backpressure: no request starts while this many results wait to be written. What a process holds of results when it dies,
 * or when its leases run out in a long outage, is sent again.
 */
const MOST_UNWRITTEN = 100;

/**
 * The phases of a run. A run moves down this list only. In every phase requests in flight end, and their results are
 * written, before the run ends.
 *
 * - delivering: claims deliveries and starts requests. The first phase.
 * - draining: starts no request. Another endpoint needs the slot, or there is nothing to deliver, e.g. it was paused.
 * - circuit open: starts no request. The endpoint fails, and no result that is still in flight closes the circuit.
 * - disabled: starts no request, and writes nothing about the endpoint's health.
 */
const PHASES = ["delivering", "draining", "circuit open", "disabled"] as const;
export type Phase = (typeof PHASES)[number];

/** What a run does beside its requests, each at most once at a time. */
export type BackgroundTask = "claiming" | "writing" | "renewing";

/** What a run is started with. */
export interface RunOptions {
  /** Of the endpoint's lease. */
  readonly token: string;
  readonly closing: AbortSignal;
  /** Asked after each time slice: whether the run should give its slot to another endpoint. */
  readonly shouldYield: () => boolean;
}

/** The state of one run of an endpoint, which the steps in endpoint.ts change. */
export interface EndpointRun extends RunOptions {
  readonly engine: EngineContext;
  readonly outbound: Outbound;
  readonly id: string;
  /** The settings as of this time slice. */
  endpoint: SigningEndpoint;
  limiter: RateLimiter;
  sliceEndsAt: number;
  phase: Phase;
  hasYielded: boolean;
  /** Deliveries that are claimed and not started. */
  readonly prefetched: ClaimedEffect[];
  inFlight: number;
  /** Deliveries that have ended and are in no statement yet. */
  ended: EndedDelivery[];
  /** How many deliveries were sent whose results are not written yet. */
  unwritten: number;
  readonly background: Set<BackgroundTask>;
  /** The circuit breaker's state as it was last computed. */
  health: EndpointHealth;
  /** Failures in a row up to now; the last of these may not be in `health` yet. */
  failuresInARow: number;
  /** Whether the last answer came within {@link QUICK_MS}. */
  isQuick: boolean;
  /** Whether deliveries may be due. */
  mayBeMore: boolean;
  /** Whether the next claim should take any number, even one: its time has come. */
  claimsAny: boolean;
  /** The first failure of a background task, which ends the run. */
  failure: { readonly error: unknown } | null;
  /** Wakes the loop. */
  wake: () => void;
}

export function createEndpointRun(
  engine: EngineContext,
  outbound: Outbound,
  endpoint: SigningEndpoint,
  options: RunOptions,
): EndpointRun {
  return {
    ...options,
    engine,
    outbound,
    id: endpoint.id,
    ...settingsOf(engine, endpoint),
    phase: "delivering",
    hasYielded: false,
    prefetched: [],
    inFlight: 0,
    ended: [],
    unwritten: 0,
    background: new Set(),
    health: endpoint.health,
    failuresInARow: endpoint.health.failures,
    isQuick: false,
    mayBeMore: true,
    claimsAny: false,
    failure: null,
    wake: () => undefined,
  };
}

/** What a run takes from an endpoint's settings at the start of a time slice. */
export function settingsOf(
  engine: EngineContext,
  endpoint: SigningEndpoint,
): Pick<EndpointRun, "endpoint" | "limiter" | "sliceEndsAt"> {
  const limiter = engine.rateLimiterOf(endpoint.id, endpoint.ratePerSecond);
  return { endpoint, limiter, sliceEndsAt: performance.now() + TIME_SLICE_MS };
}

export function moveTo(run: EndpointRun, next: Phase): void {
  if (PHASES.indexOf(next) > PHASES.indexOf(run.phase)) run.phase = next;
}

/** Whether the run may claim deliveries and start requests. */
export function isDelivering({ phase, closing, engine, failure }: EndpointRun): boolean {
  return phase === "delivering" && !closing.aborted && !engine.signal.aborted && failure === null;
}

/** The most requests in flight: one probe while the circuit is half open. */
export function concurrencyOf({ health, endpoint }: EndpointRun): number {
  return isHalfOpen(health) ? 1 : endpoint.concurrency;
}

/** Whether nothing keeps one more request from starting. */
export function mayStart(run: EndpointRun): boolean {
  return (
    isDelivering(run) && run.inFlight < concurrencyOf(run) && run.unwritten < MOST_UNWRITTEN && !awaitsVerdict(run)
  );
}

/** Whether the circuit is about to open: what is in flight or unwritten decides. */
function awaitsVerdict({ failuresInARow, inFlight, ended, background }: EndpointRun): boolean {
  return opensCircuit(failuresInARow) && (inFlight > 0 || ended.length > 0 || background.has("writing"));
}

/**
 * Whether deliveries may be claimed before a request can start for them. Only where they are likely to start soon: a lane must
 * not be held up, and prefetched deliveries must not exceed a rate.
 */
export function mayPrefetch({ endpoint, failuresInARow }: EndpointRun): boolean {
  return endpoint.lane === null && !endpoint.hasLanes && endpoint.ratePerSecond === null && failuresInARow === 0;
}

function prefetchLimit(run: EndpointRun): number {
  if (!mayPrefetch(run)) return 0;
  const ofOthers = run.engine.prefetched.count - run.prefetched.length;
  return Math.max(0, Math.min(concurrencyOf(run) * (run.isQuick ? PREFETCH : 1), MOST_PREFETCHED - ofOthers));
}

/** How many deliveries may be claimed now, and how many of these only as prefetched ones. */
export function claimLimits(run: EndpointRun): { readonly limit: number; readonly ahead: number } {
  const limit = Math.min(roomFor(run), run.limiter.available());
  const startable = Math.max(0, concurrencyOf(run) - run.inFlight - run.prefetched.length);
  return { limit, ahead: Math.max(0, limit - startable) };
}

function roomFor(run: EndpointRun): number {
  return concurrencyOf(run) + prefetchLimit(run) - run.inFlight - run.prefetched.length;
}

/** Whether to claim now. Few and large claims, since a claim costs more than what it takes; from time to time any number. */
export function wantsMore(run: EndpointRun): boolean {
  if (run.background.has("claiming") || !run.mayBeMore || !isDelivering(run) || awaitsVerdict(run)) return false;
  const ahead = prefetchLimit(run);
  const most = concurrencyOf(run);
  const least = run.claimsAny ? 1 : Math.ceil(ahead > 0 ? (most + ahead) / 2 : most / 4);
  return roomFor(run) >= least && run.limiter.available() >= 1;
}

export function isQuick(tookMs: number): boolean {
  return tookMs < QUICK_MS;
}
