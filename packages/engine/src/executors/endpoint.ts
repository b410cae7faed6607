import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { claim as claimDeliveries } from "../delivery/claim.ts";
import { afterDeliveries, looksDown } from "./endpoint-health.ts";
import type { EngineContext, Outbound } from "../contract/engine-context.ts";
import type { ClaimedEffect, EndpointDisablement, EndpointHealth } from "../contract/engine-store.ts";
import { describeError, EndpointError } from "../outage/errors.ts";
import { release } from "../delivery/hand-back.ts";
import { insist, whileAvailable } from "../outage/outage-pause.ts";
import { settle as settleDeliveries } from "../delivery/settle.ts";
import { type Ended, type SigningEndpoint, toEnded, tryEndpoint } from "./try-endpoint.ts";

/** A request takes ten seconds at most, and at most three wait before it; only a worker that is gone loses its delivery. */
const LEASE_MS = 60_000;
/** How many claims ahead there may be for one under way, where answers come within {@link QUICK_MS}. */
const AHEAD = 3;
const QUICK_MS = 1_000;
/** Of all endpoints together: each holds its event in memory. */
const MOST_AHEAD = 1_000;
/** After so long its settings are read again, or another endpoint has its turn. */
const TURN_MS = 5_000;
/** How long the endpoint of a worker that is gone is left alone; each turn begins the lease anew. */
const ENDPOINT_LEASE_MS = 20_000;
/** While requests are under way, how often is looked for what has become due meanwhile. */
const LOOK_AGAIN_MS = 250;
/** How long one that cannot be signed for is left alone. */
const UNSIGNED_MS = 60_000;
/**
 * While so many results wait to be written, none is added: what a process holds of them when it dies, or when its leases
 * run out in a long outage, is sent again.
 */
const MOST_UNSAVED = 100;
/** While others are under way, how long a result may wait for theirs. */
const SETTLE_WITHIN_MS = 5;

/** Of each lane its head, and nothing past a dead letter that was let go on. */
const IN_ORDER = { order: "strict", onDead: "continue" } as const;

/**
 * The phases of a run. It moves down this list only, and from each it ends once what was begun has ended and is written.
 *
 * - delivering: claims, begins, writes results. At first.
 * - ending: begins no more. Another endpoint needs its place, or nothing is to be delivered any more, e.g. it was paused.
 * - parked: begins no more. The endpoint fails, and stays parked however what is under way ends.
 * - disabled: begins no more, and notes nothing of the endpoint's health.
 */
const PHASES = ["delivering", "ending", "parked", "disabled"] as const;
type Phase = (typeof PHASES)[number];

/**
 * Delivers what is due for an endpoint, as many side by side as it may have, until nothing is, or somebody else needs its
 * turn, or it fails: after five failures in a row it is left alone for a while, ever longer, and then one delivery tells
 * whether it is back. So what waits for an endpoint that is down costs nothing, neither time nor its tries.
 *
 * Turn by turn it renews its lease of the endpoint, goes by the settings of then, and asks whether it is to make room
 * (`makesRoom`): then it begins no more, and waits for the slowest request under way. Returns whether it made room.
 *
 * Claims and results go in batches: while requests are under way, one statement writes what has ended, and another takes
 * what is next, ahead of its turn where the endpoint is well; what then cannot be begun is handed back. The endpoint is
 * leased, since its limits are kept here: where its lease runs out in an outage, they may be exceeded, and nothing else
 * happens.
 *
 * Postgres away: claims and results wait for it, and no attempt is lost. `closing` aborted: begins no more, and ends what
 * is under way; the engine's signal: gives that up, uncounted.
 */
export async function runEndpoint(
  engine: EngineContext,
  id: string,
  closing: AbortSignal,
  makesRoom: () => boolean = () => false,
): Promise<boolean> {
  const { outbound } = engine;
  if (outbound === null) return false;
  const token = randomUUID();
  const endpoint = await open(engine, outbound, id, token);
  if (endpoint === null) return false;
  try {
    return await createRun(engine, outbound, endpoint, { token, closing, makesRoom })();
  } finally {
    await engine.store.closeEndpoint(id, token).catch((error: unknown) => {
      engine.log.warn({ endpoint: id, err: error }, "an endpoint could not be let go, its lease will run out");
    });
  }
}

/** Null when there is nothing to do: it is gone, paused, disabled, left alone for a while, or cannot be signed for. */
async function open(
  engine: EngineContext,
  outbound: Outbound,
  id: string,
  token: string,
): Promise<SigningEndpoint | null> {
  const lease = { token, leaseMs: ENDPOINT_LEASE_MS };
  const endpoint = await whileAvailable(engine, () => engine.store.openEndpoint(id, lease));
  if (endpoint === null) return null;
  const [newest = "", ...older] = endpoint.secrets;
  try {
    // One that is on its way out is not worth stopping for.
    return { ...endpoint, openedSecrets: [outbound.openSecret(newest, id), ...older.flatMap((one) => openOlder(one))] };
  } catch (error) {
    const { errorMessage } = describeError(error);
    const lastError = `its secret cannot be opened, is PENSTOCK_MASTER_KEY the one it was made with? ${errorMessage}`;
    engine.log.error(
      { endpoint: id, lastError },
      "nothing is delivered to this endpoint, it is left alone for a minute",
    );
    const { health } = endpoint;
    await insist(engine, () => engine.store.noteEndpointHealth(id, { ...health, parkForMs: UNSIGNED_MS, lastError }));
    return null;
  }

  function openOlder(sealed: string): string[] {
    try {
      return [outbound.openSecret(sealed, id)];
    } catch {
      return [];
    }
  }
}

function createRun(
  engine: EngineContext,
  outbound: Outbound,
  opened: SigningEndpoint,
  { token, closing, makesRoom }: { token: string; closing: AbortSignal; makesRoom: () => boolean },
) {
  const { store, log, claimedAhead } = engine;
  const { id } = opened;
  /** As it was when its turn began. */
  let endpoint = opened;
  let pace = engine.paceOf(id, opened.ratePerSecond);
  let turnEnds = performance.now() + TURN_MS;
  /** Claimed ahead, and not begun. */
  const waiting: ClaimedEffect[] = [];
  let underWay = 0;
  let ended: Ended[] = [];
  /** How many were sent and are not written yet. */
  let unsaved = 0;
  /** What is done beside the requests. */
  const busy = new Set<"claiming" | "settling" | "reopening">();
  let phase: Phase = "delivering";
  let health: EndpointHealth = endpoint.health;
  /** How many failed in a row up to now, the last of which may not be in `health` yet. */
  let failedInARow = health.failures;
  let isQuick = false;
  let mayBeMore = true;
  let looksAgain = false;
  let failure: { readonly error: unknown } | null = null;
  let wake = (): void => undefined;

  const moveTo = (next: Phase): void => {
    if (PHASES.indexOf(next) > PHASES.indexOf(phase)) phase = next;
  };
  const mayBegin = (): boolean =>
    phase === "delivering" && !closing.aborted && !engine.signal.aborted && failure === null;
  // After it was left alone, one tells whether it is back.
  const most = (): number => (health.parks > 0 ? 1 : endpoint.concurrency);
  // What is claimed while the others are under way, so that none waits for a claim. Only where it is likely to be begun,
  // and at once: a lane must not be held up, and a rate not be exceeded by what has gathered.
  const mayGoAhead = (): boolean =>
    endpoint.lane === null && !endpoint.hasLanes && endpoint.ratePerSecond === null && failedInARow === 0;
  const ahead = (): number => {
    if (!mayGoAhead()) return 0;
    const others = claimedAhead.count - waiting.length;
    return Math.max(0, Math.min(most() * (isQuick ? AHEAD : 1), MOST_AHEAD - others));
  };
  const free = (): number => most() + ahead() - underWay - waiting.length;
  const holdsBack = (): boolean =>
    looksDown(failedInARow) && (underWay > 0 || ended.length > 0 || busy.has("settling"));

  async function claim(): Promise<void> {
    looksAgain = false;
    const limit = Math.min(free(), pace.room());
    const lanes = endpoint.lane !== null || endpoint.hasLanes ? IN_ORDER : null;
    const reserved = Math.max(0, limit - Math.max(0, most() - underWay - waiting.length));
    claimedAhead.count += reserved;
    const { claimed } = await claimDeliveries(engine, id, (token) =>
      store.claimForOutside({ subscriber: id, limit, leaseMs: LEASE_MS, token, lanes }),
    ).finally(() => {
      claimedAhead.count -= reserved;
    });
    pace.took(claimed.length);
    mayBeMore = claimed.length === limit;
    waiting.push(...claimed);
    claimedAhead.count += claimed.length;
  }

  /** Few and large claims, since the statement costs more than what it takes; from time to time whatever there is room for. */
  function wantsMore(): boolean {
    if (busy.has("claiming") || !mayBeMore || !mayBegin() || holdsBack()) return false;
    const least = looksAgain ? 1 : Math.ceil(ahead() > 0 ? (most() + ahead()) / 2 : most() / 4);
    return free() >= least && pace.room() >= 1;
  }

  /** What it was opened with may have changed, and what is under way can take long: others are not to wait for either. */
  async function reopen(): Promise<void> {
    const again = await open(engine, outbound, id, token);
    if (again === null) return moveTo("ending");
    const wereMore = again.concurrency < endpoint.concurrency;
    endpoint = again;
    pace = engine.paceOf(id, again.ratePerSecond);
    // Of what was claimed by other settings, no more than has its place now: the rest would wait for longer than its lease.
    if (wereMore || !mayGoAhead()) handBack(Math.max(0, most() - underWay));
    turnEnds = performance.now() + TURN_MS;
  }

  /** Hands back what was claimed and cannot be begun, all but so many. */
  function handBack(but: number): void {
    const back = waiting.splice(but);
    claimedAhead.count -= back.length;
    ended.push(...back.map(({ delivery }) => toEnded(delivery, null)));
  }

  function begin(claimed: ClaimedEffect): void {
    underWay++;
    const begunAt = performance.now();
    void tryEndpoint(engine, outbound, endpoint, claimed).then((one) => {
      underWay--;
      isQuick = performance.now() - begunAt < QUICK_MS;
      ended.push(one);
      if (one.result !== null) unsaved++;
      if (one.sign !== null) failedInARow = one.sign.ok ? 0 : failedInARow + 1;
      wake();
    });
  }

  /** Writes what has ended. */
  async function settle(): Promise<void> {
    // With what ends next it is one commit.
    if (underWay > 0 && ended.length < most() / 2) await delay(SETTLE_WITHIN_MS);
    const batch = ended;
    ended = [];
    const finished = batch.flatMap(({ delivery, result }) => (result === null ? [] : [{ delivery, result }]));
    const back = batch.flatMap(({ delivery, result }) => (result === null ? [delivery] : []));
    await release(engine, back);
    await settleDeliveries(engine, finished).finally(() => {
      unsaved -= finished.length;
    });
    // Of a lane the next is due once the one before has ended.
    if (finished.some(({ delivery, result }) => delivery.lane !== null || result.lane)) mayBeMore = true;
    await noteHealth(batch);
  }

  async function noteHealth(batch: readonly Ended[]): Promise<void> {
    const signs = batch.flatMap(({ sign }) => (sign === null ? [] : [sign]));
    if (signs.length === 0 || phase === "disabled") return;
    const gone = batch.find(({ error }) => error instanceof EndpointError && error.code === "PERMANENT");
    if (gone !== undefined) return disable({ reason: "it answered 410 Gone" });
    const before = health;
    const { parkForMs, ...fares } = afterDeliveries(before, signs, engine.random);
    health = fares;
    // What was under way when it was parked changes nothing of that, however it ended.
    if (
      phase === "parked" ||
      (parkForMs === null && fares.failures === before.failures && fares.parks === before.parks)
    )
      return;
    if (parkForMs !== null) moveTo("parked");
    const last = batch.findLast(({ sign }) => sign?.ok === false)?.error;
    const lastError = last === undefined ? null : toLine(last);
    const disablement = await insist(engine, () => store.noteEndpointHealth(id, { ...fares, parkForMs, lastError }));
    if (disablement !== null) return disable(disablement);
    if (parkForMs === null) return;
    const errorClass = last === undefined ? null : describeError(last).errorClass;
    log.warn({ endpoint: id, ...fares, parkForMs, errorClass }, "endpoint is down, it is left alone for a while");
  }

  async function disable(disablement: EndpointDisablement): Promise<void> {
    moveTo("disabled");
    if (await insist(engine, () => store.disableEndpoint(id, disablement))) {
      log.error({ endpoint: id, ...disablement }, "endpoint is disabled: `penstock endpoints resume` enables it again");
    }
  }

  /** Does one thing beside the others. What it fails with ends the run, once all that was begun has ended. */
  function beside(what: "claiming" | "settling" | "reopening", work: () => Promise<void>): void {
    busy.add(what);
    void work()
      .catch((error: unknown) => (failure ??= { error }))
      .finally(() => {
        busy.delete(what);
        wake();
      });
  }

  /** Returns whether it made room. */
  async function run(): Promise<boolean> {
    let hasMadeRoom = false;
    for (;;) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      if (mayBegin() && performance.now() >= turnEnds && !busy.has("reopening")) {
        hasMadeRoom = makesRoom();
        if (hasMadeRoom) moveTo("ending");
        else beside("reopening", reopen);
      }
      if (!mayBegin()) handBack(0);
      while (mayBegin() && underWay < most() && unsaved < MOST_UNSAVED && !holdsBack()) {
        const next = waiting.shift();
        if (next === undefined) break;
        claimedAhead.count--;
        begin(next);
      }
      if (ended.length > 0 && !busy.has("settling")) beside("settling", settle);
      if (wantsMore()) beside("claiming", claim);
      if (underWay > 0 || waiting.length > 0 || ended.length > 0 || busy.size > 0) {
        await woken;
        continue;
      }
      if (failure !== null) throw failure.error;
      const waitMs = mayBegin() && mayBeMore ? pace.waitMs() : 0;
      if (waitMs === 0) return hasMadeRoom;
      await delay(waitMs, undefined, { signal: closing }).catch(() => undefined);
    }
  }

  return async function (): Promise<boolean> {
    const lookAgain = setInterval(() => {
      mayBeMore = true;
      looksAgain = true;
      wake();
    }, LOOK_AGAIN_MS);
    try {
      return await run();
    } finally {
      clearInterval(lookAgain);
    }
  };
}

function toLine(error: unknown): string {
  const { errorClass, errorMessage } = describeError(error);
  return `${errorClass}: ${errorMessage}`.slice(0, 300);
}
