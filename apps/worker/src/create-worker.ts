import { setTimeout as delay } from "node:timers/promises";
import { createEngine, type Engine, type Outbound } from "@penstock/engine";
import type { EffectHandler, PenstockConfig } from "@penstock/handler-sdk";
import type { EventQueue, QueueConsumer, QueuedBatches } from "@penstock/queue";
import { isEndpointId, type WorkerConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import {
  cancelOrphaned,
  createEngineStore,
  ensurePartitions,
  findHandlerRoles,
  findUnqueuedBatches,
  hasTransactions,
  listEndpoints,
  listHandlers,
  markHandlersSeen,
  observeBacklog,
  type Store,
} from "@penstock/store";
import {
  activeSpan,
  instruments,
  type Logger,
  newTrace,
  onceInAWhile,
  type SpanOptions,
  withSpan,
} from "@penstock/telemetry";
import { createBusyness } from "./busyness.ts";
import { createFeeder, type Feeder } from "./create-feeder.ts";
import { createOutboundFeeder } from "./create-outbound-feeder.ts";
import { laneSlots } from "./lane-slots.ts";
import { type Bell, createBell, repeat } from "./repeat.ts";

/** How long an event may be pending before its job is looked after, in milliseconds. */
const SWEEP_AFTER_MS = 3_000;
const SWEEP_EVERY_MS = 2_000;
/** From then on a pending event is not waiting for its job: a job of a worker that vanished is another's in half of that. */
const STUCK_AFTER_MS = 60_000;
/** More batches than that are a backlog, which jobs work off from its oldest event on. */
const STUCK_AT_ONCE = 5;
const DELIVERIES_EVERY_MS = 1_000;
/** After each delivery of a handler that fails at all of them: ten per second tell whether it still does. */
const FAILING_PAUSE_MS = 100;
/** Endpoints that are run at once; how much of each, is its own to say. */
const ENDPOINTS_AT_ONCE = 100;
const REPLAYS_EVERY_MS = 500;
const RECLAIM_EVERY_MS = 5_000;
const SEEN_EVERY_MS = 20_000;
const UPKEEP_EVERY_MS = 600_000;

/** What is said without a stack: it would tell where we noticed, and nothing of the outage. */
const OUTAGES = new Set(["QUEUE_UNAVAILABLE", "DATABASE_UNAVAILABLE"]);

export interface EventWorker {
  isClosing(): boolean;
  /** Takes no more work, lets what is under way finish for `timeoutMs`, then aborts it: it is run again later. */
  close(timeoutMs: number): Promise<void>;
}

/** Wires a worker that runs these `effects` of its handlers: jobs of the queue, deliveries that are due, and the upkeep that makes up for what gets lost. */
export async function startWorker(
  { handlers }: PenstockConfig,
  effects: readonly EffectHandler[],
  config: Pick<WorkerConfig, "batchEvents" | "concurrency">,
  {
    sources,
    store,
    queue,
    outbound,
    log,
    name,
  }: {
    sources: Pick<Sources, "find">;
    store: Store;
    queue: EventQueue;
    /** Null: endpoints are left to other workers. */
    outbound: Outbound | null;
    log: Logger;
    name: string;
  },
): Promise<EventWorker> {
  const outOfPatience = new AbortController();
  const closing = new AbortController();
  const handlerNames = handlers.map((handler) => handler.name);
  const transactional = handlers.filter(({ kind }) => kind === "transactional").map((handler) => handler.name);
  const roles = await findHandlerRoles(store);
  const engineStore = createEngineStore(store, name, roles);
  const engine = createEngine({
    store: engineStore,
    handlers,
    findSource: sources.find,
    ...(outbound && { outbound }),
    log,
    signal: outOfPatience.signal,
    batchEvents: config.batchEvents,
  });
  const subscriptions = handlers.map(({ name: handler, kind, on, lanes }) => ({
    name: handler,
    kind,
    types: on,
    lanes,
  }));
  await engineStore.registerHandlers(subscriptions);
  await ensurePartitions(store);
  await warnOfOthers();
  const apart = handlers.filter((handler) => hasTransactions(handler) && !roles.has(handler.schema));
  if (apart.length > 0) {
    log.warn(
      { handlers: apart.map((handler) => handler.name) },
      "these handlers see every schema: run `penstock migrate` as a role with CREATEROLE, and this worker as the same or a member of the roles that it makes",
    );
  }

  // Also of effect handlers that others run: what a batch recorded here has its job at once, and not after their poll.
  const feeders = new Map<string, Feeder>();
  for (const { kind, name: effect } of handlers) {
    if (kind === "effect") feeders.set(effect, createFeeder(store, queue.deliveriesTo(effect), effect));
  }
  const endpoints = queue.endpoints();
  const outboundFeeder = createOutboundFeeder(store, endpoints);
  /** Those whose run has failed: looked at again at the next poll, and not at once. */
  const failed = new Set<string>();
  if (outbound === null && (await listEndpoints(store, { limit: 1 })).length > 0) {
    log.warn("PENSTOCK_MASTER_KEY is not set: this worker delivers nothing to endpoints, others have to");
  }
  const sayQueueTrouble = onceInAWhile();
  // Each connection reports each attempt to connect again: a second of an outage would be fifty stack traces.
  const onError = (error: Error): void =>
    sayQueueTrouble(() => log.warn(inShort(error), "the queue reported an error, its client goes on by itself"));
  const slots = Array.from(laneSlots(handlers), ([handler, count]) =>
    Array.from({ length: count }, () => ({ handler, bell: createBell() })),
  ).flat();
  function kick(waiting: readonly string[]): void {
    for (const handler of waiting) feeders.get(handler)?.kick();
    for (const { handler, bell } of slots) if (waiting.includes(handler)) bell.ring();
    outboundFeeder.kick(waiting.filter(isEndpointId));
  }
  const consumers: QueueConsumer[] = [
    queue.consume((pointer) => runBatches(engine, log, pointer, kick, closing.signal), {
      concurrency: config.concurrency,
      onError,
    }),
    ...(outbound === null ? [] : [consumeEndpoints()]),
    ...effects.map(({ name: effect, concurrency, rateLimit, lanes }) =>
      queue.deliveriesTo(effect).consume(
        async (delivery) => {
          feeders.get(effect)?.taken(delivery.seq);
          await engine.runEffect(delivery).catch((error: unknown) => {
            // Said here: the queue drops a job that failed without a word.
            if (outOfPatience.signal.aborted) return;
            log.error({ ...delivery, err: error }, "delivery could not be run or recorded, it is taken up again");
          });
          // The next of its lane is due.
          if (lanes !== null) feeders.get(effect)?.kick();
        },
        { concurrency, rateLimit, onError },
      ),
    ),
  ];
  function loop(everyMs: number, what: string, work: () => Promise<boolean | void>, bell?: Bell): Promise<void> {
    const sayFailure = onceInAWhile();
    const onFailure = (error: unknown): void => {
      const fields = OUTAGES.has(inShort(error).code ?? "") ? inShort(error) : { err: error };
      sayFailure(() => log.warn(fields, `${what} failed, it is tried again`));
    };
    return repeat(everyMs, closing.signal, work, onFailure, bell);
  }
  observeBacklog(store, handlerNames, closing.signal, (error) =>
    log.warn({ err: error }, "what waits could not be measured, it is tried again"),
  );
  const loops = Promise.all([
    loop(SWEEP_EVERY_MS, "sweep", sweep),
    // Each handler by itself: one that hangs must not slow the retries of the others.
    ...transactional.map((handler) =>
      loop(DELIVERIES_EVERY_MS, `running due deliveries of ${handler}`, async () => {
        // Asked before: what it fails at from now on shared a transaction, and is more than a few.
        const isFailing = engine.isFailing(handler);
        const ran = await engine.runDueDeliveries(config.batchEvents, handler);
        if (isFailing && engine.isFailing(handler)) {
          await delay(ran * FAILING_PAUSE_MS, undefined, { signal: closing.signal }).catch(() => undefined);
        }
        return ran > 0;
      }),
    ),
    // One loop for each lane that may run at once: one that hangs stops none of the others.
    ...slots.map(({ handler, bell }) =>
      loop(DELIVERIES_EVERY_MS, `running lanes of ${handler}`, () => engine.runLaneHead(handler), bell),
    ),
    // A delivery that is recorded here rings the bell; what becomes due, or another worker left, is found by the poll.
    ...Array.from(feeders, ([handler, { feed, bell }]) =>
      loop(DELIVERIES_EVERY_MS, `adding jobs for deliveries to ${handler}`, feed, bell),
    ),
    loop(DELIVERIES_EVERY_MS, "adding jobs for endpoints", outboundFeeder.feed, outboundFeeder.bell),
    loop(DELIVERIES_EVERY_MS, "running an interrupted delivery", () => engine.runInterruptedDelivery()),
    loop(REPLAYS_EVERY_MS, "handing out deliveries of a replay", () => engine.advanceReplay()),
    loop(RECLAIM_EVERY_MS, "taking back deliveries", async () => {
      const { retrying, dead, more } = await engine.reclaimDeliveries();
      if (retrying > 0) log.warn({ retrying }, "deliveries of lost workers were taken back");
      for (const { seq, handler } of dead) {
        log.error({ seq, handler }, "the workers that ran this delivery vanished: it is a dead letter now");
      }
      return more;
    }),
    loop(SEEN_EVERY_MS, "telling which handlers there are", () => markHandlersSeen(store, subscriptions)),
    loop(UPKEEP_EVERY_MS, "upkeep", async () => {
      await ensurePartitions(store);
      const cancelled = await cancelOrphaned(store);
      if (cancelled > 0) log.info({ cancelled }, "deliveries to endpoints that are gone were cancelled");
    }),
  ]);

  function consumeEndpoints(): QueueConsumer {
    const isBusy = createBusyness();
    let running = 0;
    // For one that waits here, or so that a worker that has less to do takes some.
    const makesRoom = (): boolean => running === ENDPOINTS_AT_ONCE || isBusy();
    return endpoints.consume(
      async (id) => {
        running++;
        await engine
          .runEndpoint(id, closing.signal, makesRoom)
          .catch((error: unknown) => {
            failed.add(id);
            if (outOfPatience.signal.aborted) return;
            log.error({ endpoint: id, err: error }, "an endpoint could not be delivered to, it is taken up again");
          })
          .finally(() => running--);
      },
      {
        concurrency: ENDPOINTS_AT_ONCE,
        onError,
        onGone: (id) => {
          if (!failed.delete(id)) outboundFeeder.kick([id]);
        },
      },
    );
  }

  /** Adds jobs for batches that are still pending: their job was never added, or the queue lost it. */
  async function sweep(): Promise<void> {
    const batches = await findUnqueuedBatches(store, { olderThanMs: SWEEP_AFTER_MS });
    if (batches.length === 0) return;
    await withSpan("sweep", { parent: newTrace, attributes: { "penstock.batches": batches.length } }, () =>
      queue.add(batches.map((batch) => [batch])),
    );
    instruments.swept().add(batches.length);
    log.debug({ batches: batches.length }, "batches were pending for long, their jobs are there again");
    if (batches.length <= STUCK_AT_ONCE) await runStuck();
  }

  /**
   * Runs a batch whose job is still said to be a vanished worker's, without its job. BullMQ on Postgres goes by hosts' clocks: where
   * they are an hour apart, that lasts an hour.
   */
  async function runStuck(): Promise<void> {
    const batches = await findUnqueuedBatches(store, { olderThanMs: STUCK_AFTER_MS, maxBatches: 1 });
    if (batches.length === 0) return;
    log.warn({ batches }, "a batch is pending although its job should be done or taken up again, it is run without");
    await runBatches(engine, log, { batches, startedBefore: 1 }, kick, closing.signal);
  }

  async function warnOfOthers(): Promise<void> {
    for (const { name: other, seenAt } of await listHandlers(store)) {
      if (handlers.some((handler) => handler.name === other)) continue;
      log.warn(
        { handler: other, seenAt },
        "a registered handler is not in this worker's configuration: its events wait as pending deliveries for a worker that has it; if it is gone for good, run `penstock handlers remove`",
      );
    }
  }

  return {
    isClosing: () => closing.signal.aborted,
    async close(timeoutMs) {
      closing.abort();
      const force = setTimeout(() => outOfPatience.abort(new Error("the worker is stopping")), timeoutMs);
      await Promise.all(consumers.map((consumer) => consumer.close(timeoutMs + 1_000)));
      await loops;
      clearTimeout(force);
    },
  };
}

/** Batches can hold more than one transaction takes, and there may be a backlog: goes on until a claim finds all. */
async function runBatches(
  engine: Engine,
  log: Logger,
  { batches, startedBefore }: QueuedBatches,
  kick: (waiting: readonly string[]) => void,
  closing: AbortSignal,
): Promise<void> {
  const job = activeSpan();
  const attributes = { "penstock.batch": batches[0] ?? 0 };
  let span: SpanOptions = { attributes };
  for (let pointer = { batches, startedBefore }; ; pointer = { batches, startedBefore: 0 }) {
    const startedAt = performance.now();
    const { more, waiting, ...report } = await withSpan("process batch", span, async (current) => {
      const done = await engine.processBatch(pointer);
      current.setAttribute("messaging.batch.message_count", done.events);
      return done;
    }).catch((error: unknown) => {
      // Said here: the queue drops a job that failed without a word.
      log.warn({ batches, err: error }, "batches were not processed, what is pending is taken up again");
      throw error;
    });
    kick(waiting);
    // A backlog can be a million events: one trace of all its transactions would be too large for anybody.
    span = { attributes, parent: newTrace, links: [job?.spanContext() ?? null] };
    if (report.batches === 0) return;
    instruments.batchEvents().record(report.events, { stage: "process" });
    if (report.quarantined > 0) instruments.quarantined().add(report.quarantined);
    const durationMs = Math.round(performance.now() - startedAt);
    log.info({ ...report, durationMs }, "batches processed");
    if (report.duplicates > 0) instruments.duplicates().add(report.duplicates);
    if (!more || closing.aborted) return;
  }
}

/** An error in a line: a connection that is refused on every address has no message, only a code. */
function inShort(error: unknown): { error: string; code?: string } {
  const { message, code } = error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error) };
  return { error: message || (code ?? "unknown"), ...(code === undefined ? {} : { code }) };
}
