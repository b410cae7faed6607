import { createEngine, type Outbound } from "@penstock/engine";
import type { EffectHandler, PenstockConfig } from "@penstock/handler-sdk";
import type { EventQueue } from "@penstock/queue";
import type { WorkerConfig } from "@penstock/schemas";
import type { Sources } from "@penstock/sources";
import {
  createEngineStore,
  ensurePartitions,
  findHandlerRoles,
  type HandlerRoles,
  hasTransactions,
  listEndpoints,
  listHandlers,
  type Store,
} from "@penstock/store";
import type { Logger } from "@penstock/telemetry";
import { keepArchive } from "./services/archive.ts";
import { runBatches } from "./services/batches.ts";
import { runDryRuns } from "./services/dry-runs.ts";
import { runEffects } from "./services/effects.ts";
import { runErasures } from "./services/erasures.ts";
import { runEndpoints } from "./services/endpoints.ts";
import { keepIssues } from "./services/issues.ts";
import type { Channel } from "./notify/create-channels.ts";
import { tellIssues } from "./services/notices.ts";
import { runLanes } from "./services/lanes.ts";
import { advanceReplays } from "./services/replays.ts";
import type { Service } from "./services/service.ts";
import { keepRetention, toPolicy } from "./services/retention.ts";
import { watchSilence } from "./services/silence.ts";
import { runTransactional } from "./services/transactional.ts";
import { runUpkeep } from "./services/upkeep.ts";

export interface EventWorker {
  isClosing(): boolean;
  /** Takes no more work, lets work in flight finish for `timeoutMs`, then aborts it: a worker runs it again later. */
  close(timeoutMs: number): Promise<void>;
}

/** The parts that a worker is wired from. */
interface WorkerParts {
  readonly sources: Pick<Sources, "find" | "list">;
  readonly store: Store;
  readonly queue: EventQueue;
  /** Null when endpoints are left to other workers. */
  readonly outbound: Outbound | null;
  /** Where people are told of issues. */
  readonly channels: readonly Channel[];
  readonly log: Logger;
  readonly name: string;
}

/** Wires a worker. Of its effect handlers it runs those in `effects`; it runs everything else in any case. */
export async function startWorker(
  { handlers }: PenstockConfig,
  effects: readonly EffectHandler[],
  config: Pick<WorkerConfig, "archive" | "batchEvents" | "concurrency" | "notify" | "retention">,
  { sources, store, queue, outbound, channels, log, name }: WorkerParts,
): Promise<EventWorker> {
  const outOfPatience = new AbortController();
  const closing = new AbortController();
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
  await engineStore.registerHandlers(handlers.map((handler) => ({ ...handler, types: handler.on })));
  await ensurePartitions(store);
  await warn(handlers, { store, outbound, log, roles });

  const context = { engine, store, log, closing: closing.signal };
  const transactional = handlers.filter(({ kind }) => kind === "transactional").map((handler) => handler.name);
  const services: Service[] = [
    runTransactional(context, transactional, config.batchEvents),
    runLanes(context, handlers),
    runEffects(context, effects),
    ...(outbound === null ? [] : [runEndpoints(context)]),
    advanceReplays(context),
    runDryRuns(context, { handlers, roles, findSource: sources.find, name, signal: outOfPatience.signal }),
    runErasures(context, {
      handlers,
      engineStore,
      sources,
      archive: config.archive,
      signal: outOfPatience.signal,
    }),
    runUpkeep(context, handlers, engineStore.writeWords),
    keepIssues(context),
    watchSilence(context, sources),
    tellIssues(context, channels, config.notify),
    ...(config.archive === null ? [] : [keepArchive(context, config.archive)]),
    await keepRetention(context, toPolicy(config.retention, config.archive, sources), name),
  ];
  const batches = runBatches(context, queue, config.concurrency, (waiting) => {
    for (const { wake } of services) wake?.(waiting);
  });

  return {
    isClosing: () => closing.signal.aborted,
    async close(timeoutMs) {
      closing.abort();
      const force = setTimeout(() => outOfPatience.abort(new Error("the worker is stopping")), timeoutMs);
      await batches.consumer.close(timeoutMs + 1_000);
      await Promise.all([batches, ...services].map(({ done }) => done));
      await engineStore.writeWords().catch(() => undefined); // a search looks at the events themselves then
      clearTimeout(force);
    },
  };
}

/** Logs what an operator may not expect. */
async function warn(
  handlers: PenstockConfig["handlers"],
  { store, outbound, log, roles }: Pick<WorkerParts, "store" | "outbound" | "log"> & { readonly roles: HandlerRoles },
): Promise<void> {
  for (const { name: other, seenAt } of await listHandlers(store)) {
    if (handlers.some((handler) => handler.name === other)) continue;
    log.warn(
      { handler: other, seenAt },
      "a registered handler is not in this worker's configuration: its events wait as pending deliveries for a worker that has it; if it is gone for good, run `penstock handlers remove`",
    );
  }
  const apart = handlers.filter((handler) => hasTransactions(handler) && !roles.has(handler.schema));
  if (apart.length > 0) {
    log.warn(
      { handlers: apart.map((handler) => handler.name) },
      "these handlers see every schema: run `penstock migrate` as a role with CREATEROLE, and this worker as the same or a member of the roles that it makes",
    );
  }
  if (outbound === null && (await listEndpoints(store, { limit: 1 })).length > 0) {
    log.warn("PENSTOCK_MASTER_KEY is not set: this worker delivers nothing to endpoints, others have to");
  }
}
