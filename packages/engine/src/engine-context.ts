import type { EffectHandler, Handler, HandlerLog, TransactionalHandler } from "@penstock/handler-sdk";
import type { Source } from "@penstock/sources";
import type { Demotions } from "./demotions.ts";
import type { ClaimedDelivery, EngineStore } from "./engine-store.ts";
import type { Gate } from "./gate.ts";

/** A logger that can make children; pino's fits. */
export interface EngineLog extends HandlerLog {
  child(fields: object): EngineLog;
}

/** What every part of the engine works with. */
export interface EngineContext {
  readonly store: EngineStore;
  /** In the one order that all workers share. */
  readonly handlers: readonly Handler[];
  /** Those of them that run inside a transaction of ours. */
  readonly transactional: readonly TransactionalHandler[];
  /** Those of these that run in the transaction of a batch. */
  readonly batched: readonly TransactionalHandler[];
  /** Of the same, by name: takes the head of a lane that is due; null when there is none. */
  readonly claimHead: ReadonlyMap<string, () => Promise<ClaimedDelivery | null>>;
  /** The others, by name, each with a gate of its own: what may have killed its process runs apart from its like. */
  readonly effects: ReadonlyMap<string, { readonly handler: EffectHandler; readonly gate: Gate }>;
  readonly findSource: (name: string) => Source | undefined;
  readonly log: EngineLog;
  /** The most events and bytes of bodies of one batch transaction. */
  readonly batchEvents: number;
  readonly batchBytes: number;
  /** How long one handler may hold up a batch with so many events for it, in milliseconds. */
  readonly budgetOf: (events: number) => number;
  /** Aborted when the worker is out of patience at shutdown. */
  readonly signal: AbortSignal;
  readonly demotions: Demotions;
  readonly random: () => number;
  /** Says something of an outage once in a while. */
  readonly sayOutage: (say: () => void) => void;
  /** All work of this engine inside of transactions goes through it; whatever may be what kills the process, alone. */
  readonly gate: Gate;
}
