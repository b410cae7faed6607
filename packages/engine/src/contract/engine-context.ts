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

/** An effect handler, with what this process keeps for it. */
export interface Effect {
  readonly handler: EffectHandler;
  /** A delivery that may have killed its process runs exclusively, beside no other of this handler. */
  readonly gate: Gate;
  /** One transaction at a time: transactions that wait for a lock take one connection, not one each. */
  readonly transactions: Gate;
  /** Writes the result of a delivery. */
  finish(finished: FinishedDelivery): Promise<void>;
}

/** What deliveries to endpoints need. */
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
  /** By name, which is the order that all workers share. */
  readonly handlers: readonly Handler[];
  /** Handlers that run inside a transaction of the engine. */
  readonly transactional: readonly TransactionalHandler[];
  /** Transactional handlers that run inside the batch's transaction. */
  readonly batched: readonly TransactionalHandler[];
  /** By name of a transactional handler: claims the head of a lane that is due. Resolves to null when no head is due. */
  readonly claimHead: ReadonlyMap<string, () => Promise<ClaimedDelivery | null>>;
  /** The effect handlers, by name. */
  readonly effects: ReadonlyMap<string, Effect>;
  /** Null where nothing is delivered to endpoints. */
  readonly outbound: Outbound | null;
  /** The rate limiter of an endpoint. */
  readonly rateLimiterOf: (endpoint: string, perSecond: number | null) => RateLimiter;
  /** Deliveries to all endpoints that are claimed, or being claimed, before a request can start for them. */
  readonly prefetched: { count: number };
  readonly findSource: (
    name: string,
  ) => Pick<Source, "provider" | "check" | "sendsEnvelope" | "plainSignatureHeader" | "sensitive"> | undefined;
  readonly log: EngineLog;
  /** The most events and bytes of bodies of one batch transaction. */
  readonly batchEvents: number;
  readonly batchBytes: number;
  /** How long a handler may hold up a batch that has so many events for it, in milliseconds. */
  readonly budgetOf: (events: number) => number;
  /** Aborted when the worker is out of patience at shutdown. */
  readonly signal: AbortSignal;
  readonly demotions: Demotions;
  readonly failing: FailingHandlers;
  readonly random: () => number;
  /** Batches that could not be recorded lately: they would fail every transaction that claims them as well. */
  readonly setAside: SetAside;
  /** Logs an outage once in a while. */
  readonly logOutage: (log: () => void) => void;
  /** All work inside transactions goes through the gate; work that may kill the process goes exclusively. */
  readonly gate: Gate;
}
