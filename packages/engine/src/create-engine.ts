import type { Handler } from "@penstock/handler-sdk";
import type { Source } from "@penstock/sources";
import { onceInAWhile } from "@penstock/telemetry";
import { advanceReplay } from "./replay/advance-replay.ts";
import { type BatchReport, isBatched } from "./delivery/delivery-result.ts";
import { createDemotions } from "./handler/demotions.ts";
import type { EngineContext, EngineLog, Outbound } from "./contract/engine-context.ts";
import type { EngineStore, Reclaimed } from "./contract/engine-store.ts";
import { createEffectFinish, runInterruptedEffect, type StartedEffects, startEffects } from "./executors/effect.ts";
import { runEndpoint } from "./executors/endpoint.ts";
import {
  createHeadClaims,
  MAX_INTERRUPTIONS,
  runDueDeliveries,
  runInterruptedDelivery,
  runLaneHead,
} from "./executors/transactional.ts";
import { createFailingHandlers } from "./handler/failing-handlers.ts";
import { createGate } from "./delivery/gate.ts";
import { type BatchPointer, processBatch } from "./batch/process-batch.ts";
import { withOwnEvents } from "./event/own-events.ts";
import { createRateLimiters } from "./delivery/rate-limiter.ts";
import { createSetAside } from "./batch/set-aside.ts";

export interface EngineOptions {
  readonly store: EngineStore;
  readonly handlers: readonly Handler[];
  readonly findSource: (name: string) => Source | undefined;
  /** Without it, the engine delivers nothing to endpoints. */
  readonly outbound?: Outbound;
  readonly log: EngineLog;
  /** Aborted when the worker is out of patience at shutdown. */
  readonly signal: AbortSignal;
  /** The most events of one batch transaction; 500 unless given. */
  readonly batchEvents?: number;
  /** The most bytes of bodies of one batch transaction; 16 MiB unless given. One event always fits. */
  readonly batchBytes?: number;
  /** How long one handler may hold up a batch before it is demoted, in milliseconds; 5,000 and 25 per event unless given. */
  readonly budgetMs?: number;
  /** How long a demotion lasts, in milliseconds; 60,000 unless given. */
  readonly demoteMs?: number;
  /** How long workers get to come back after an outage before their leases are taken, in milliseconds; 30,000. */
  readonly afterOutageMs?: number;
  readonly random?: () => number;
}

/** Runs handlers so that every event takes effect exactly once. Has no timers: a worker drives the engine. */
export interface Engine {
  /** Processes the batch that a queue job points to. */
  processBatch(pointer: BatchPointer): Promise<BatchReport>;
  /**
   * Runs up to `limit` due deliveries of a transactional handler, or of each, and resolves to how many. Leaves out deliveries in
   * lanes, and deliveries whose worker vanished before. Deliveries share a transaction where the handler does well.
   */
  runDueDeliveries(limit: number, handler?: string): Promise<number>;
  /** True for a transactional handler that fails at everything: few of its deliveries should be tried. */
  isFailing(handler: string): boolean;
  /** Runs one due head of a lane of a transactional handler; false when none is due. */
  runLaneHead(handler: string): Promise<boolean>;
  /** Runs one due delivery whose worker vanished before, with nothing else in flight; false when none is due. */
  runInterruptedDelivery(): Promise<boolean>;
  /** Claims up to `limit` due deliveries to an effect handler, and starts them. */
  startEffects(handler: string, limit: number): Promise<StartedEffects>;
  /** Runs one due delivery to an effect handler whose worker vanished before, beside no other of that handler; false when none is due. */
  runInterruptedEffect(handler: string): Promise<boolean>;
  /**
   * Delivers what is due for an endpoint, until nothing is due, `closing` is aborted, or `shouldYield`, asked after each time
   * slice of 5 s, says so. Resolves to whether it has yielded. Does nothing where another worker has leased the endpoint.
   */
  runEndpoint(id: string, closing: AbortSignal, shouldYield?: () => boolean): Promise<boolean>;
  /** Hands out the next deliveries of a due replay; false when none is due. */
  advanceReplay(): Promise<boolean>;
  /** Takes deliveries back from workers that vanished. */
  reclaimDeliveries(): Promise<Reclaimed>;
}

/** Wires an engine. */
export function createEngine(options: EngineOptions): Engine {
  const handlers = options.handlers.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const transactional = handlers.filter((handler) => handler.kind === "transactional");
  const { store, signal, log } = options;
  const outages = { store, signal, log, logOutage: onceInAWhile() };
  const context: EngineContext = {
    ...outages,
    handlers,
    transactional,
    batched: transactional.filter(isBatched),
    claimHead: new Map(transactional.map((handler) => [handler.name, createHeadClaims(outages, handler)])),
    effects: new Map(
      handlers
        .filter((handler) => handler.kind === "effect")
        .map((handler) => [
          handler.name,
          { handler, gate: createGate(), transactions: createGate(), finish: createEffectFinish(outages) },
        ]),
    ),
    outbound: options.outbound ?? null,
    rateLimiterOf: createRateLimiters(),
    prefetched: { count: 0 },
    findSource: withOwnEvents(options.findSource),
    batchEvents: options.batchEvents ?? 500,
    batchBytes: options.batchBytes ?? 16 * 1024 * 1024,
    // More than lock_timeout: a handler that waits once for rows of another worker is not slow.
    budgetOf: (events) => options.budgetMs ?? 5_000 + 25 * events,
    demotions: createDemotions(options.demoteMs),
    failing: createFailingHandlers(options.log),
    setAside: createSetAside(),
    random: options.random ?? Math.random,
    gate: createGate(),
  };
  return {
    processBatch: (pointer) => processBatch(context, pointer),
    async runDueDeliveries(limit, handler) {
      const names = handler === undefined ? transactional.map(({ name }) => name) : [handler];
      const ran = await Promise.all(names.map((name) => runDueDeliveries(context, limit, name)));
      return ran.reduce((sum, one) => sum + one, 0);
    },
    isFailing: (handler) => context.failing.has(handler),
    runLaneHead: (handler) => runLaneHead(context, handler),
    runInterruptedDelivery: () => runInterruptedDelivery(context),
    startEffects: (handler, limit) => startEffects(context, handler, limit),
    runInterruptedEffect: (handler) => runInterruptedEffect(context, handler),
    runEndpoint: (id, closing, shouldYield) => runEndpoint(context, id, closing, shouldYield),
    advanceReplay: () => advanceReplay(context),
    reclaimDeliveries: () =>
      options.store.reclaimDeliveries({
        maxInterruptions: MAX_INTERRUPTIONS,
        afterOutageMs: options.afterOutageMs ?? 30_000,
      }),
  };
}
