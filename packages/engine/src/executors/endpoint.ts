import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { EngineContext } from "../contract/engine-context.ts";
import type { ClaimedEffect } from "../contract/engine-store.ts";
import { claim } from "../delivery/claim.ts";
import { release } from "../delivery/hand-back.ts";
import { settle } from "../delivery/settle.ts";
import {
  type BackgroundTask,
  claimLimits,
  concurrencyOf,
  createEndpointRun,
  type EndpointRun,
  isDelivering,
  isQuick,
  mayPrefetch,
  mayStart,
  moveTo,
  settingsOf,
  wantsMore,
} from "./endpoint-run.ts";
import { leaseEndpoint, releaseEndpoint } from "./lease-endpoint.ts";
import { recordHealth } from "./record-health.ts";
import { toUnsent, tryEndpoint } from "./try-endpoint.ts";

/** A request takes ten seconds at most, and at most three wait before it: only a worker that vanished loses its delivery. */
const DELIVERY_LEASE_MS = 60_000;
/** While requests are in flight, how often the run looks for deliveries that have become due. */
const LOOK_AGAIN_MS = 250;
/** While requests are in flight, how long a result may wait for others, to share their statement. */
const WRITE_WITHIN_MS = 5;

/** Lanes of endpoints: only the head is claimed, and a dead letter does not block its lane. */
const LANE_RULE = { order: "strict", onDead: "continue" } as const;

/**
 * Delivers what is due for an endpoint, with as many requests in flight as it allows, until nothing is due, another endpoint
 * needs the slot, or the circuit opens. While the circuit is open, what waits costs neither time nor attempts.
 *
 * After each time slice the run renews its lease of the endpoint, reads the settings again, and asks `shouldYield`; a run that
 * yields waits for its slowest request in flight. Resolves to whether it has yielded.
 *
 * One statement writes all results that have gathered, and one claims many deliveries, prefetched where the endpoint is
 * healthy; what then cannot start is handed back. Where the endpoint's lease runs out in an outage, another worker may
 * exceed the concurrency and the rate, and nothing else happens.
 *
 * Postgres away: claims and results wait for it, and no attempt is lost. `closing` aborted: no request starts, those in
 * flight end. The engine's signal aborted: requests in flight are given up, and their attempts are not counted.
 */
export async function runEndpoint(
  engine: EngineContext,
  id: string,
  closing: AbortSignal,
  shouldYield: () => boolean = () => false,
): Promise<boolean> {
  const { outbound } = engine;
  if (outbound === null) return false;
  const token = randomUUID();
  const endpoint = await leaseEndpoint(engine, outbound, id, token);
  if (endpoint === null) return false;
  const run = createEndpointRun(engine, outbound, endpoint, { token, closing, shouldYield });
  const lookAgain = setInterval(() => {
    run.mayBeMore = true;
    run.claimsAny = true;
    run.wake();
  }, LOOK_AGAIN_MS);
  try {
    await deliver(run);
    return run.hasYielded;
  } finally {
    clearInterval(lookAgain);
    await releaseEndpoint(engine, id, token);
  }
}

/** The loop: each round takes every step that is possible, then waits for a request or a background task to end. */
async function deliver(run: EndpointRun): Promise<void> {
  for (;;) {
    const woken = new Promise<void>((resolve) => (run.wake = resolve));
    endTimeSlice(run);
    handBackUnstartable(run);
    startRequests(run);
    writeResults(run);
    claimMore(run);
    if (run.inFlight > 0 || run.prefetched.length > 0 || run.ended.length > 0 || run.background.size > 0) {
      await woken;
      continue;
    }
    if (run.failure !== null) throw run.failure.error;
    const waitMs = isDelivering(run) && run.mayBeMore ? run.limiter.waitMs() : 0;
    if (waitMs === 0) return;
    await delay(waitMs, undefined, { signal: run.closing }).catch(() => undefined);
  }
}

function endTimeSlice(run: EndpointRun): void {
  if (!isDelivering(run) || performance.now() < run.sliceEndsAt || run.background.has("renewing")) return;
  run.hasYielded = run.shouldYield();
  if (run.hasYielded) moveTo(run, "draining");
  else inBackground(run, "renewing", () => renew(run));
}

/** Renews the lease and takes over the settings, beside requests in flight: these can take long. */
async function renew(run: EndpointRun): Promise<void> {
  const endpoint = await leaseEndpoint(run.engine, run.outbound, run.id, run.token);
  if (endpoint === null) return moveTo(run, "draining");
  const isNarrower = endpoint.concurrency < run.endpoint.concurrency;
  Object.assign(run, settingsOf(run.engine, endpoint));
  // Prefetched by other settings: what has no slot now would wait for longer than its lease.
  if (isNarrower || !mayPrefetch(run)) handBackPrefetched(run, Math.max(0, concurrencyOf(run) - run.inFlight));
}

function handBackUnstartable(run: EndpointRun): void {
  if (!isDelivering(run)) handBackPrefetched(run, 0);
}

/** Hands back all prefetched deliveries but the first `keep`. */
function handBackPrefetched(run: EndpointRun, keep: number): void {
  const back = run.prefetched.splice(keep);
  run.engine.prefetched.count -= back.length;
  run.ended.push(...back.map(({ delivery }) => toUnsent(delivery, null)));
}

function startRequests(run: EndpointRun): void {
  while (mayStart(run)) {
    const next = run.prefetched.shift();
    if (next === undefined) return;
    run.engine.prefetched.count--;
    startRequest(run, next);
  }
}

function startRequest(run: EndpointRun, claimed: ClaimedEffect): void {
  run.inFlight++;
  const startedAt = performance.now();
  void tryEndpoint(run.engine, run.outbound, run.endpoint, claimed).then((ended) => {
    run.inFlight--;
    run.isQuick = isQuick(performance.now() - startedAt);
    run.ended.push(ended);
    if (ended.result !== null) run.unwritten++;
    if (ended.signal !== null) run.failuresInARow = ended.signal.ok ? 0 : run.failuresInARow + 1;
    run.wake();
  });
}

function writeResults(run: EndpointRun): void {
  if (run.ended.length > 0 && !run.background.has("writing")) inBackground(run, "writing", () => write(run));
}

async function write(run: EndpointRun): Promise<void> {
  const { engine } = run;
  if (run.inFlight > 0 && run.ended.length < concurrencyOf(run) / 2) await delay(WRITE_WITHIN_MS);
  const batch = run.ended;
  run.ended = [];
  const finished = batch.flatMap(({ delivery, result }) => (result === null ? [] : [{ delivery, result }]));
  await release(
    engine,
    batch.flatMap(({ delivery, result }) => (result === null ? [delivery] : [])),
  );
  await settle(engine, finished).finally(() => {
    run.unwritten -= finished.length;
  });
  // The next delivery of a lane is due once the head has ended.
  if (finished.some(({ delivery, result }) => delivery.lane !== null || result.lane)) run.mayBeMore = true;
  await recordHealth(run, batch);
}

function claimMore(run: EndpointRun): void {
  if (wantsMore(run)) inBackground(run, "claiming", () => claimDeliveries(run));
}

async function claimDeliveries(run: EndpointRun): Promise<void> {
  const { engine, id, endpoint } = run;
  run.claimsAny = false;
  const { limit, ahead } = claimLimits(run);
  const lanes = endpoint.lane !== null || endpoint.hasLanes ? LANE_RULE : null;
  // Counted before the claim, or endpoints that claim at once would together exceed the limit.
  engine.prefetched.count += ahead;
  const { claimed } = await claim(engine, id, (token) =>
    engine.store.claimForOutside({ subscriber: id, limit, leaseMs: DELIVERY_LEASE_MS, token, lanes }),
  ).finally(() => {
    engine.prefetched.count -= ahead;
  });
  run.limiter.take(claimed.length);
  run.mayBeMore = claimed.length === limit;
  run.prefetched.push(...claimed);
  engine.prefetched.count += claimed.length;
}

/** Runs a task beside the requests. Its failure ends the run, once everything that was started has ended. */
function inBackground(run: EndpointRun, task: BackgroundTask, work: () => Promise<void>): void {
  run.background.add(task);
  void work()
    .catch((error: unknown) => (run.failure ??= { error }))
    .finally(() => {
      run.background.delete(task);
      run.wake();
    });
}
