import type { Lanes, RateLimit, Replay } from "@penstock/handler-sdk";
import type { Transaction } from "kysely";
import type { DeliveryState } from "./delivery-state.ts";

/** An accepted event as the engine gets it from the store. */
export interface StoredEvent {
  readonly seq: number;
  /** Day of receipt, `YYYY-MM-DD`: the partition that holds it. */
  readonly day: string;
  readonly source: string;
  readonly eventId: string | null;
  readonly type: string | null;
  /** The id that the batch is sorted by: the contact's, else the conversation's … */
  readonly subject: string | null;
  /** When the event happened, as its provider says; null when the provider says nothing. */
  readonly createdAt: Date | null;
  readonly receivedAt: Date;
  readonly body: Buffer;
  /** Why intake could not read the event whole, or would not vouch for it; null when nothing is wrong. */
  readonly problem: string | null;
  readonly traceparent: string | null;
  /** The replay that made this event, with another body; null for an event that was received. */
  readonly replay: Replay | null;
}

/** A handler that some worker has registered. */
export interface RegisteredHandler {
  readonly name: string;
  readonly types: readonly string[];
  /** Whether an operator has paused the handler. Its events wait as pending deliveries. */
  readonly paused: boolean;
}

/** The settings of an endpoint that decide which events it gets. */
export interface EndpointSubscription {
  readonly id: string;
  /** Event types; `["*"]` for all types. */
  readonly types: readonly string[];
  /** Values by path: an event passes if it has one of the values at each path. Null without a filter. */
  readonly filter: Readonly<Record<string, readonly string[]>> | null;
  /** The path of the value that is the key of the lane; null without lanes. */
  readonly lane: string | null;
  /** Deliveries to a disabled endpoint are recorded as skipped. */
  readonly disabled: boolean;
}

/** The state of an endpoint's circuit breaker. */
export interface EndpointHealth {
  /** Deliveries that failed in a row. */
  readonly failures: number;
  /** How often in a row the circuit has opened. Above 0, a circuit that is not open is half open: one delivery probes. */
  readonly openings: number;
}

/** An endpoint that this worker has leased. */
export interface LeasedEndpoint extends Pick<EndpointSubscription, "id" | "filter" | "lane"> {
  readonly url: string;
  /** The header of the plain signature, for events of every source; null for the header of the event's source, if any. */
  readonly headerName: string | null;
  /** Sealed secrets, the newest first. Each secret signs. */
  readonly secrets: readonly string[];
  /** The most requests in flight. */
  readonly concurrency: number;
  readonly ratePerSecond: number | null;
  /** The waits between attempts, in milliseconds; null for the usual backoff. */
  readonly scheduleMs: readonly number[] | null;
  /** Whether deliveries wait in lanes, also in lanes that the settings no longer have. */
  readonly hasLanes: boolean;
  readonly health: EndpointHealth;
}

/** Why an endpoint is disabled, in words for people. */
export interface EndpointDisablement {
  readonly reason: string;
}

/** One event for one endpoint, as the batch records it: to be delivered, or skipped for a reason. */
export interface EndpointDelivery {
  readonly event: Pick<StoredEvent, "seq" | "day">;
  readonly subscriber: string;
  readonly lane: LanePlace | null;
  readonly skipReason: string | null;
}

export type AttemptOutcome = "succeeded" | "failed" | "timed-out" | "interrupted";

/** A delivery's place in a lane of its subscriber: by time, then by seq. */
export interface LanePlace {
  /** The lane's key as stored and shown: what the handler gave, or a stand-in for it. */
  readonly key: string;
  readonly at: Date;
}

/** What decides which delivery of a lane runs next. */
export type LaneRule = Pick<Lanes, "order" | "onDead">;

/** One event for one subscriber, as the engine records it. */
export interface DeliveryResult {
  readonly event: Pick<StoredEvent, "seq" | "day">;
  readonly subscriber: string;
  readonly state: Extract<DeliveryState, "pending" | "succeeded" | "retrying" | "dead" | "skipped">;
  /** Why the delivery was skipped; left out for other states. */
  readonly skipReason?: string;
  /** The wait before the next attempt, in milliseconds, by the clock of Postgres; for pending and retrying. */
  readonly retryInMs?: number;
  /** The place in a lane, where a place is to be recorded. */
  readonly lane?: LanePlace | null;
  readonly attempts: number;
  /** The attempt that gets a row; left out for a success at the first attempt. */
  readonly attempt?: {
    readonly startedAt: Date;
    readonly outcome: AttemptOutcome;
    readonly errorClass: string | null;
    readonly errorMessage: string | null;
    /** Where in the handler's code the error came from, as `file:line:column`; left out where nothing tells. */
    readonly place?: string | undefined;
    /** The `traceparent` of the attempt's span, for the next attempt to link to; null while tracing is off. */
    readonly traceparent: string | null;
  };
  /** What is logged about the failure, once it is committed. */
  readonly failure?: { readonly fields: object; readonly message: string };
}

export interface QuarantineRecord {
  readonly event: Pick<StoredEvent, "seq" | "day">;
  readonly reason: string;
  readonly detail: string | null;
}

/** Everything that may subscribe to an event. */
export interface Registered {
  readonly handlers: readonly RegisteredHandler[];
  readonly endpoints: readonly EndpointSubscription[];
}

/** Which batches one transaction claims. */
export interface BatchClaim {
  /** Numbers of the batches that are claimed first. */
  readonly batches: readonly number[];
  /** Whether to claim these only. By default the oldest pending batches top the claim up. */
  readonly onlyThese?: boolean;
  /** Whether to wait for batches that another worker holds, up to lock_timeout. By default they are skipped. */
  readonly waits?: boolean;
  /** Numbers of batches that must not top the claim up. */
  readonly except?: readonly number[];
  /** Called with the claimed batches, before their events are recorded. */
  readonly onTaken?: (batches: readonly number[]) => void;
  /** The most events and bytes of bodies. One batch always fits. */
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/** The batches that one transaction has claimed. */
export interface ClaimedBatches {
  /** Numbers of the batches. */
  readonly batches: readonly number[];
  /** The new events of these batches, by seq. */
  readonly events: readonly StoredEvent[];
  /** Whether a limit cut the claim short, so that more batches may be pending. */
  readonly more: boolean;
  /** How many events of these batches were copies of known events. */
  readonly duplicates: number;
  /** How many new events have an id that was accepted with another body before. */
  readonly conflicts: number;
}

/** Whether a handler's work behind its savepoint was kept, or was rolled back because of an error. */
export type SavepointOutcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown };

/** A statement that a handler ran, as text with placeholders and without its values. */
export interface ObservedStatement {
  readonly sql: string;
  /** How many rows it returned or changed; null where it failed. */
  readonly rows: number | null;
  readonly error: string | null;
}

/** One transaction on one connection. */
export interface EngineTransaction {
  /**
   * Claims pending batches, whole, and records their new events in the ledger and in `events`. Skips batches that another worker
   * holds. Waits for the commit of another worker that is recording a copy of one of the events. The batches are no longer
   * pending once this transaction commits.
   */
  claimBatches(claim: BatchClaim): Promise<ClaimedBatches>;
  /** The handlers that any worker has registered, and the endpoints. */
  registered(): Promise<Registered>;
  /**
   * Runs `fn` behind a savepoint, with a guarded Kysely transaction whose `search_path` is `schema`. The work is kept when all
   * its statements, its deferred constraints and RELEASE succeed with the transaction still open; else it is rolled back.
   *
   * @throws an error with code `DATABASE_UNAVAILABLE` when the connection broke or the disk is full, and an error of `fn` with
   *   the code `HANDLER_TIMEOUT` or `HANDLER_ABANDONED`; any other error is in the outcome.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the engine does not
  savepoint(schema: string, fn: (tx: Transaction<any>) => Promise<void>): Promise<SavepointOutcome>;
  /** Writes the first record of deliveries, and the quarantine, in the round trip of the commit. */
  recordAtCommit(results: readonly DeliveryResult[], quarantine: readonly QuarantineRecord[]): void;
  /** Writes deliveries to endpoints piece by piece: with many endpoints they are far more than the events. */
  recordEndpointDeliveries(deliveries: Iterable<EndpointDelivery>): Promise<void>;
  /**
   * Locks running deliveries and reads their events, in the order given. Leaves out deliveries whose token no longer matches
   * (another worker has them), and deliveries past `maxBytes` of bodies; the first one always fits.
   */
  lockDeliveries(deliveries: readonly ClaimedDelivery[], maxBytes: number): Promise<LockedDelivery[]>;
  /**
   * Records an effect of a running delivery. `there`: the effect was recorded before. `lost`: the token no longer matches, and
   * nothing was recorded; roll back.
   */
  recordEffect(delivery: ClaimedDelivery, key: string, json: string): Promise<"recorded" | "there" | "lost">;
  /** The recorded result of a delivery's effect, as JSON; null when there is no record. */
  findEffect(delivery: ClaimedDelivery, key: string): Promise<string | null>;
  /** Writes results of running deliveries; resolves to the deliveries whose tokens still matched. */
  finishDeliveries(finished: readonly FinishedDelivery[]): Promise<readonly ClaimedDelivery[]>;
  /**
   * Locks a replay that is due and that no other worker holds, hands out its next deliveries, and says which events of the page
   * are in quarantine. A page is bounded, and so are the deliveries of a replay that wait. Null when no replay is due.
   */
  nextReplayPage(): Promise<ReplayPage | null>;
  /** Reads an event; null when the event is gone. */
  readEvent(event: { seq: number; day: string }): Promise<StoredEvent | null>;
  /**
   * Writes the verdict on a quarantined event of a replay. An event that is understood now leaves the quarantine, and every
   * handler that subscribes gets it; any other event stays, with the new reason.
   */
  settleQuarantined(
    replayId: string,
    event: { seq: number; day: string },
    verdict: { ok: true; type: string } | { ok: false; reason: string; detail: string | null },
  ): Promise<void>;
}

/** The deliveries that a replay has handed out in one transaction. */
export interface ReplayPage {
  /** The replay's id. */
  readonly id: string;
  readonly quarantined: readonly { readonly seq: number; readonly day: string }[];
}

/** A delivery that this worker holds until its lease ends. */
export interface ClaimedDelivery {
  readonly seq: number;
  readonly day: string;
  readonly subscriber: string;
  /** The lane whose head this delivery is; null without a lane. */
  readonly lane: string | null;
  readonly token: string;
  /** The number of this attempt; the first is 1. */
  readonly attempt: number;
  /** How often the delivery's effects are done anew; 0 at first. */
  readonly generation: number;
  /** The replay that runs the delivery, or that made its event. */
  readonly replay: Replay | null;
  /** The event's `traceparent`. */
  readonly traceparent: string | null;
  /** The `traceparent` of the attempt before this one. */
  readonly lastAttempt: string | null;
  /** Whether an attempt of the delivery has a row: then its success gets a row, too. */
  readonly onRecord: boolean;
}

/** A delivery whose row this transaction has locked, with its event. */
export interface LockedDelivery {
  readonly delivery: ClaimedDelivery;
  readonly event: StoredEvent;
}

/** A delivery that was run, with its result. */
export interface FinishedDelivery {
  readonly delivery: ClaimedDelivery;
  readonly result: DeliveryResult;
}

/** A claimed delivery to an effect handler or an endpoint, with everything that is needed to run it. */
export interface ClaimedEffect {
  readonly delivery: ClaimedDelivery;
  readonly event: StoredEvent;
  /** Results of effects that earlier attempts have recorded, by key. */
  readonly done: ReadonlyMap<string, unknown>;
}

/** Which deliveries to claim. */
export interface Claim {
  readonly subscriber: string;
  readonly limit: number;
  readonly leaseMs: number;
  /** The token of all claimed deliveries, which finds them should the claim's answer get lost; a new one by default. */
  readonly token?: string;
  /** True: only deliveries whose worker vanished before. False: only others. Both by default. */
  readonly interrupted?: boolean;
}

/** Deliveries that were taken back from vanished workers. */
export interface Reclaimed {
  readonly retrying: number;
  /** Whether there may be more. */
  readonly more: boolean;
  /** Deliveries that are dead, since their workers vanished too often. */
  readonly dead: readonly { readonly seq: number; readonly handler: string }[];
}

/** What the engine needs of a database. `packages/store` provides it. */
export interface EngineStore {
  /**
   * Runs `fn` in a transaction and commits; rolls back when `fn` throws. An error with the code `HANDLER_TIMEOUT` or
   * `HANDLER_ABANDONED` destroys the connection instead, since that handler may still be using it.
   *
   * @throws an error with code `DATABASE_UNAVAILABLE` when Postgres cannot be reached, the connection broke or the disk
   *   is full.
   * @throws an error with code `COMMIT_FAILED` when COMMIT itself was refused.
   */
  transaction<T>(fn: (tx: EngineTransaction) => Promise<T>): Promise<T>;
  /** Resolves once Postgres answers; rejects with the signal's reason when the signal is aborted first. */
  waitUntilAvailable(signal: AbortSignal): Promise<void>;
  /**
   * Claims due deliveries of a subscriber that are in no lane, the oldest first. With `alike`, only deliveries with the attempt,
   * generation and replay of the oldest. The cost does not grow with the number of deliveries that wait.
   */
  claimDeliveries(claim: Claim & { readonly alike?: boolean }): Promise<ClaimedDelivery[]>;
  /**
   * Claims due heads of lanes of a subscriber: one per lane, and none while another delivery of the lane runs. Skips a lane that
   * another worker is looking at.
   */
  claimLanes(claim: Claim & LaneRule & { readonly interrupted: boolean }): Promise<ClaimedDelivery[]>;
  /**
   * Claims due deliveries of a subscriber that works outside of Postgres, each with its event: deliveries in no lane, then, given a
   * rule for lanes, heads. Claims no more than the rate limit leaves, which holds over all workers; `waitMs` is how long
   * until the limit leaves more, where it has kept some back.
   */
  claimForOutside(
    claim: Claim & { readonly lanes: LaneRule | null; readonly rateLimit?: RateLimit | null },
  ): Promise<{ readonly claimed: ClaimedEffect[]; readonly waitMs: number }>;
  /** Hands back, with no attempt counted, the deliveries of a claim whose answer got lost. */
  releaseClaim(claim: Required<Pick<Claim, "subscriber" | "token">>): Promise<void>;
  /** Records an effect of a delivery; false when the token no longer matches, and nothing was recorded. */
  recordEffect(delivery: ClaimedDelivery, key: string, json: string): Promise<boolean>;
  /**
   * Leases an endpoint, or renews the lease; null when the endpoint is gone, paused, disabled or leased by another worker, or
   * its circuit is open.
   */
  leaseEndpoint(
    id: string,
    lease: { readonly token: string; readonly leaseMs: number },
  ): Promise<LeasedEndpoint | null>;
  /** Ends the lease of an endpoint. */
  releaseEndpoint(id: string, token: string): Promise<void>;
  /** Writes results of running deliveries whose tokens still match; resolves to the deliveries that were written. */
  finishDeliveries(finished: readonly FinishedDelivery[]): Promise<readonly ClaimedDelivery[]>;
  /**
   * Writes an endpoint's health, and opens its circuit for `openForMs` where that is not null. Returns why the endpoint is to
   * be disabled, once it has failed for as long or as often as is set.
   */
  saveEndpointHealth(
    id: string,
    health: EndpointHealth & { readonly openForMs: number | null; readonly lastError: string | null },
  ): Promise<EndpointDisablement | null>;
  /** Disables an endpoint and makes the event `endpoint.disabled`; false when it was disabled or gone already. */
  disableEndpoint(id: string, disablement: EndpointDisablement): Promise<boolean>;
  /** Whether any delivery of these subscribers is due whose worker vanished before. */
  isInterruptedDue(subscribers: readonly string[]): Promise<boolean>;
  /**
   * Hands deliveries back untried, with no attempt counted: when the worker stops, or after an outage, to rest for `restMs`.
   */
  releaseDeliveries(deliveries: readonly ClaimedDelivery[], options?: { restMs?: number }): Promise<void>;
  /**
   * Takes back deliveries whose lease has run out: an `interrupted` attempt, then retrying, or dead after `maxInterruptions`.
   * Takes none until Postgres has been up for `afterOutageMs`: a worker whose leases ran out while Postgres was away may be
   * reconnecting.
   */
  reclaimDeliveries(options: { maxInterruptions: number; afterOutageMs: number }): Promise<Reclaimed>;
  /** Writes the active handlers and their subscriptions. */
  registerHandlers(
    handlers: readonly (Pick<RegisteredHandler, "name" | "types"> & {
      readonly kind: string;
      readonly lanes?: LaneRule | null;
    })[],
  ): Promise<void>;
}
