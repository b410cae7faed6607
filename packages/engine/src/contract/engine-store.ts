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
  /** When its provider says that it happened; null when it does not. */
  readonly createdAt: Date | null;
  readonly receivedAt: Date;
  readonly body: Buffer;
  /** Why intake could not read it whole or would not vouch for it; null when all is well. */
  readonly problem: string | null;
  readonly traceparent: string | null;
  /** The replay that it was made for, with another body; null when it was received. */
  readonly replay: Replay | null;
}

/** A handler that some worker has registered. */
export interface RegisteredHandler {
  readonly name: string;
  readonly types: readonly string[];
  /** Whether an operator has paused it: its events wait as pending deliveries. */
  readonly paused: boolean;
}

/** What of an endpoint decides which events it gets. */
export interface EndpointSubscription {
  readonly id: string;
  /** Event types; `["*"]`: all. */
  readonly types: readonly string[];
  /** By path in the event, the values of which it must have one; null: no filter. */
  readonly filter: Readonly<Record<string, readonly string[]>> | null;
  /** The path of the value that its lanes are told by; null: no lanes. */
  readonly lane: string | null;
  /** While it is, what it would get is skipped. */
  readonly disabled: boolean;
}

/** The state of an endpoint's circuit breaker. */
export interface EndpointHealth {
  /** Deliveries that failed in a row. */
  readonly failures: number;
  /** How often in a row the circuit has opened. Above 0, a circuit that is not open is half open: one delivery probes. */
  readonly openings: number;
}

/** An endpoint as it is to be delivered to. */
export interface LeasedEndpoint extends Pick<EndpointSubscription, "id" | "filter" | "lane"> {
  readonly url: string;
  /** The header of the plain signature, for events of every source; null: that of the event's source, where it has one. */
  readonly headerName: string | null;
  /** Sealed, the newest first; each signs. */
  readonly secrets: readonly string[];
  /** Requests at once. */
  readonly concurrency: number;
  readonly ratePerSecond: number | null;
  /** The waits between tries, in milliseconds; null: as usual. */
  readonly scheduleMs: readonly number[] | null;
  /** Whether something of it waits in lanes, be it from before they were taken away. */
  readonly hasLanes: boolean;
  readonly health: EndpointHealth;
}

/** Why an endpoint gets nothing any more, in words for people. */
export interface EndpointDisablement {
  readonly reason: string;
}

/** One event for one endpoint, as the batch leaves it: to be delivered, or skipped with the reason. */
export interface EndpointDelivery {
  readonly event: Pick<StoredEvent, "seq" | "day">;
  readonly subscriber: string;
  readonly lane: LanePlace | null;
  readonly skipReason: string | null;
}

export type AttemptOutcome = "succeeded" | "failed" | "timed-out" | "interrupted";

/** A delivery's place in a lane of its handler: the older first, and of those that are as old, the lower seq. */
export interface LanePlace {
  /** As stored and shown: the key that the handler gave, or what stands for it. */
  readonly key: string;
  readonly at: Date;
}

/** What decides which delivery of a lane runs next. */
export type LaneRule = Pick<Lanes, "order" | "onDead">;

/** One event for one subscriber, as the engine leaves it. */
export interface DeliveryResult {
  readonly event: Pick<StoredEvent, "seq" | "day">;
  readonly subscriber: string;
  readonly state: Extract<DeliveryState, "pending" | "succeeded" | "retrying" | "dead" | "skipped">;
  /** Why it was skipped, when it was. */
  readonly skipReason?: string;
  /** How long until the next try, in milliseconds, by the clock of Postgres; for pending and retrying. */
  readonly retryInMs?: number;
  /** Its place in a lane, where one is to be recorded. */
  readonly lane?: LanePlace | null;
  readonly attempts: number;
  /** The try to keep a row of; left out for a first success. */
  readonly attempt?: {
    readonly startedAt: Date;
    readonly outcome: AttemptOutcome;
    readonly errorClass: string | null;
    readonly errorMessage: string | null;
    /** Where in the handler's code the error came from, as `file:line:column`; left out where nothing tells. */
    readonly place?: string | undefined;
    /** Of its span, for the next attempt to link to; null while tracing is off. */
    readonly traceparent: string | null;
  };
  /** What the log is to say of its failure, once that is committed. */
  readonly failure?: { readonly fields: object; readonly message: string };
}

export interface QuarantineRecord {
  readonly event: Pick<StoredEvent, "seq" | "day">;
  readonly reason: string;
  readonly detail: string | null;
}

/** All that may want an event. */
export interface Registered {
  readonly handlers: readonly RegisteredHandler[];
  readonly endpoints: readonly EndpointSubscription[];
}

/** What one transaction is to take. */
export interface BatchClaim {
  /** Numbers of batches, which come first. */
  readonly batches: readonly number[];
  /** Whether others are left alone; else the oldest come along. Not unless given. */
  readonly onlyThese?: boolean;
  /** Whether these are waited for where another worker holds them, as long as for any lock. Not unless given. */
  readonly waits?: boolean;
  /** Those that are not to come along. */
  readonly except?: readonly number[];
  /** Hears which batches were taken, before anything is done with them. */
  readonly onTaken?: (batches: readonly number[]) => void;
  /** The most events and bytes of bodies; one batch always fits. */
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/** What one transaction took. */
export interface ClaimedBatches {
  /** Numbers of the batches. */
  readonly batches: readonly number[];
  /** What is new of them, in the order of seq. */
  readonly events: readonly StoredEvent[];
  /** Whether it was cut short by a limit, so that more may be pending. */
  readonly more: boolean;
  /** How many of their events were copies of others. */
  readonly duplicates: number;
  /** How many of the new ones have an id that was accepted with another body before. */
  readonly conflicts: number;
}

/** What a handler did behind its savepoint: kept, or undone with the reason. */
export type SavepointOutcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown };

/** A statement that a handler ran, as text with placeholders: values are not told. */
export interface ObservedStatement {
  readonly sql: string;
  /** How many rows it returned or changed; null where it failed. */
  readonly rows: number | null;
  readonly error: string | null;
}

/** One transaction on one connection. */
export interface EngineTransaction {
  /**
   * Takes pending batches, whole, and records their events in the ledger and in the archive; what is there already is left
   * out. What another worker holds is skipped; of a copy that another one is just recording, its commit is waited for. The
   * batches are not pending any more when this transaction commits.
   */
  claimBatches(claim: BatchClaim): Promise<ClaimedBatches>;
  /** The handlers registered by any worker, and the endpoints, as of now. */
  registered(): Promise<Registered>;
  /**
   * Runs `fn` behind a savepoint with a guarded Kysely transaction whose `search_path` is `schema`. Kept only when all
   * its statements, its deferred constraints and RELEASE succeeded with the transaction still open; else undone.
   *
   * @throws an error with code `DATABASE_UNAVAILABLE` when the connection broke or the disk is full, and what `fn` threw
   *   when that has the code `HANDLER_TIMEOUT` or `HANDLER_ABANDONED`; anything else is in the outcome.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the engine does not
  savepoint(schema: string, fn: (tx: Transaction<any>) => Promise<void>): Promise<SavepointOutcome>;
  /** Writes the first record of deliveries, and what goes into quarantine, in the round trip of the commit. */
  recordAtCommit(results: readonly DeliveryResult[], quarantine: readonly QuarantineRecord[]): void;
  /** Takes them piece by piece: of many endpoints they can be far more than the events. */
  recordEndpointDeliveries(deliveries: Iterable<EndpointDelivery>): Promise<void>;
  /**
   * Locks running deliveries and reads their events, in the order given. A delivery whose token no longer matches
   * is somebody else's, and left out; so is what does not fit into `maxBytes` of bodies, but for the first.
   */
  lockDeliveries(deliveries: readonly ClaimedDelivery[], maxBytes: number): Promise<LockedDelivery[]>;
  /**
   * Records what was done once for a running delivery: `there` when it was recorded before, `lost` when the token no longer
   * matches, and then nothing was (then roll back).
   */
  recordEffect(delivery: ClaimedDelivery, key: string, json: string): Promise<"recorded" | "there" | "lost">;
  /** What is recorded of a delivery under this key, as JSON; null when nothing is. */
  findEffect(delivery: ClaimedDelivery, key: string): Promise<string | null>;
  /** Writes what became of running deliveries; returns those whose tokens still match. */
  finishDeliveries(finished: readonly FinishedDelivery[]): Promise<readonly ClaimedDelivery[]>;
  /**
   * Takes a replay that is due and that nobody else holds, hands out its next deliveries, and says which events of that page
   * are in quarantine. A page is bounded, as is the number of its deliveries that wait; null when there is no such replay.
   */
  nextReplayPage(): Promise<ReplayPage | null>;
  /** Reads an event; null when it is gone. */
  readEvent(event: { seq: number; day: string }): Promise<StoredEvent | null>;
  /**
   * Writes what became of an event in quarantine that a replay came by: understood now, it leaves and every handler that
   * subscribes gets it; else it stays, with the reason of now.
   */
  settleQuarantined(
    replayId: string,
    event: { seq: number; day: string },
    verdict: { ok: true; type: string } | { ok: false; reason: string; detail: string | null },
  ): Promise<void>;
}

/** What a replay handed out in one transaction. */
export interface ReplayPage {
  /** Of the replay. */
  readonly id: string;
  readonly quarantined: readonly { readonly seq: number; readonly day: string }[];
}

/** A delivery that this worker holds until its lease ends. */
export interface ClaimedDelivery {
  readonly seq: number;
  readonly day: string;
  readonly subscriber: string;
  /** The lane that it is the head of; null without. */
  readonly lane: string | null;
  readonly token: string;
  /** Which try this is; the first is 1. */
  readonly attempt: number;
  /** How often what it did is being done anew; at first 0. */
  readonly generation: number;
  /** The replay that has it run, itself or by its event. */
  readonly replay: Replay | null;
  /** The event's trace. */
  readonly traceparent: string | null;
  /** The span of the attempt before this one. */
  readonly lastAttempt: string | null;
  /** Whether something of it is on record, so that its success is not the first thing to tell. */
  readonly onRecord: boolean;
}

/** A delivery whose row this transaction holds, with its event. */
export interface LockedDelivery {
  readonly delivery: ClaimedDelivery;
  readonly event: StoredEvent;
}

/** A delivery that was run, and what became of it. */
export interface FinishedDelivery {
  readonly delivery: ClaimedDelivery;
  readonly result: DeliveryResult;
}

/** A delivery to an effect handler or an endpoint that this worker holds, with all that it takes to run it. */
export interface ClaimedEffect {
  readonly delivery: ClaimedDelivery;
  readonly event: StoredEvent;
  /** What was done once for it before, by key. */
  readonly done: ReadonlyMap<string, unknown>;
}

/** What a claim is to take. */
export interface Claim {
  readonly subscriber: string;
  readonly limit: number;
  readonly leaseMs: number;
  /** Of all that it takes, by which that is known should the claim's answer get lost; a new one unless given. */
  readonly token?: string;
  /** Whether deliveries whose worker vanished before, or only others; either unless given. */
  readonly interrupted?: boolean;
}

/** What became of the deliveries of lost workers. */
export interface Reclaimed {
  readonly retrying: number;
  /** Whether there may be more of them. */
  readonly more: boolean;
  /** Those that were lost too often. */
  readonly dead: readonly { readonly seq: number; readonly handler: string }[];
}

/** What the engine needs of a database. `packages/store` provides it. */
export interface EngineStore {
  /**
   * Runs `fn` in a transaction and commits; rolls back when it throws, and destroys the connection instead when what
   * it throws has the code `HANDLER_TIMEOUT` or `HANDLER_ABANDONED`, since that handler may still be using it.
   *
   * @throws an error with code `DATABASE_UNAVAILABLE` when Postgres cannot be reached, the connection broke or the disk
   *   is full: nobody's fault.
   * @throws an error with code `COMMIT_FAILED` when COMMIT itself was refused.
   */
  transaction<T>(fn: (tx: EngineTransaction) => Promise<T>): Promise<T>;
  /** Resolves once Postgres answers; rejects with the signal's reason when that is aborted first. */
  waitUntilAvailable(signal: AbortSignal): Promise<void>;
  /**
   * Takes due deliveries of a subscriber that are in no lane under a lease, the oldest first. With `alike` only those of the
   * attempt, generation and replay that the oldest has. What it costs does not grow with what waits.
   */
  claimDeliveries(claim: Claim & { readonly alike?: boolean }): Promise<ClaimedDelivery[]>;
  /**
   * Takes the heads of lanes of a subscriber that are due under a lease, of each lane one and none while another of it runs.
   * A lane that another worker looks at is passed by.
   */
  claimLanes(claim: Claim & LaneRule & { readonly interrupted: boolean }): Promise<ClaimedDelivery[]>;
  /**
   * Takes due deliveries of a subscriber that works outside of Postgres, each with its event: what is in no lane, then, given
   * the rule of its lanes, heads. No more than its rate limit leaves, which holds over all workers; `waitMs` is how long until
   * it leaves more, where it kept some back.
   */
  claimForOutside(
    claim: Claim & { readonly lanes: LaneRule | null; readonly rateLimit?: RateLimit | null },
  ): Promise<{ readonly claimed: ClaimedEffect[]; readonly waitMs: number }>;
  /** Hands back, with no attempt counted, what a claim took whose answer got lost. */
  releaseClaim(claim: Required<Pick<Claim, "subscriber" | "token">>): Promise<void>;
  /** Records what was done once for a delivery; false when the token no longer matches, and nothing was recorded. */
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
  /** Writes what became of running deliveries where the tokens still match; returns those that were written. */
  finishDeliveries(finished: readonly FinishedDelivery[]): Promise<readonly ClaimedDelivery[]>;
  /**
   * Writes an endpoint's health, and opens its circuit for `openForMs` where that is not null. Returns why the endpoint is to
   * be disabled, once it has failed for as long or as often as is set.
   */
  saveEndpointHealth(
    id: string,
    health: EndpointHealth & { readonly openForMs: number | null; readonly lastError: string | null },
  ): Promise<EndpointDisablement | null>;
  /** Disables an endpoint and makes the event that tells of it; false when it was disabled or gone already. */
  disableEndpoint(id: string, disablement: EndpointDisablement): Promise<boolean>;
  /** Whether a delivery of these subscribers is due whose worker vanished before. */
  isInterruptedDue(subscribers: readonly string[]): Promise<boolean>;
  /**
   * Hands deliveries back untried, without an attempt counted: after an outage, to rest for `restMs`, or when the worker
   * stops.
   */
  releaseDeliveries(deliveries: readonly ClaimedDelivery[], options?: { restMs?: number }): Promise<void>;
  /**
   * Ends deliveries whose lease has run out: an `interrupted` attempt, then retrying, or dead after `maxInterruptions`.
   * Takes none until Postgres has been up for `afterOutageMs`: leases that ran out while it was away are no sign of a
   * lost worker, which may be reconnecting.
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
