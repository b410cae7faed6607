import type { EffectHandler, Handler, HandlerLog, TransactionalHandler } from "@penstock/handler-sdk";
import type { Answer } from "@penstock/dispatch";
import type { Source } from "@penstock/sources";
import type { Demotions } from "../handler/demotions.ts";
import type { FailingHandlers } from "../handler/failing-handlers.ts";
import type { ClaimedDelivery, EngineStore, FinishedDelivery } from "./engine-store.ts";
import type { Gate } from "../delivery/gate.ts";
import type { RateLimiter } from "../delivery/rate-limiter.ts";
import type { SetAside } from "../batch/set-aside.ts";

/** A logger that can make children; pino's fits. */
export interface EngineLog extends HandlerLog {
  child(fields: object): EngineLog;
}

/** An effect handler, and what keeps its deliveries apart in this process. */
export interface Effect {
  readonly handler: EffectHandler;
  /** What may have killed its process runs apart from its like. */
  readonly gate: Gate;
  /** Transactions go through one by one: while they wait for a lock they take one connection, not one each. */
  readonly transactions: Gate;
  /** Writes what became of a delivery. */
  finish(finished: FinishedDelivery): Promise<void>;
}

/** What it takes to deliver to endpoints. */
export interface Outbound {
  /** Sends one request and waits for its answer, ten seconds at most. Never rejects. */
  post(request: {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Buffer;
    readonly signal: AbortSignal;
  }): Promise<Answer>;
  /** The signing secret of an endpoint. @throws when none of the master keys opens it. */
  openSecret(sealed: string, endpoint: string): string;
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
  /** The others, by name. */
  readonly effects: ReadonlyMap<string, Effect>;
  /** Null where nothing is delivered to endpoints. */
  readonly outbound: Outbound | null;
  /** The rate limiter of an endpoint. */
  readonly rateLimiterOf: (endpoint: string, perSecond: number | null) => RateLimiter;
  /** Deliveries to all endpoints that are claimed, or being claimed, before a request can start for them. */
  readonly prefetched: { count: number };
  readonly findSource: (
    name: string,
  ) => Pick<Source, "provider" | "check" | "sendsEnvelope" | "plainSignatureHeader"> | undefined;
  readonly log: EngineLog;
  /** The most events and bytes of bodies of one batch transaction. */
  readonly batchEvents: number;
  readonly batchBytes: number;
  /** How long one handler may hold up a batch with so many events for it, in milliseconds. */
  readonly budgetOf: (events: number) => number;
  /** Aborted when the worker is out of patience at shutdown. */
  readonly signal: AbortSignal;
  readonly demotions: Demotions;
  readonly failing: FailingHandlers;
  readonly random: () => number;
  /** Batches that could not be recorded of late, which would take down whatever they come along with. */
  readonly setAside: SetAside;
  /** Logs an outage once in a while. */
  readonly logOutage: (log: () => void) => void;
  /** All work of this engine inside of transactions goes through it; whatever may be what kills the process, alone. */
  readonly gate: Gate;
}
