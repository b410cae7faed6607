import type { BuzzBipEventType } from "@penstock/schemas";
import type { EventOverrides } from "@penstock/schemas/fixtures";

/** What to send, where and how. */
export interface SendOptions {
  /** The whole URL of the webhook, http or https. */
  readonly url: string | URL;
  /** The signing secret that the receiver knows. */
  readonly secret: string;
  /** The type of all events; `message.received` unless `types` says otherwise. */
  readonly type?: BuzzBipEventType | undefined;
  /** Types that take turns; goes before `type`. */
  readonly types?: readonly BuzzBipEventType[] | undefined;
  /** Different events to send, 1 to 10 million; 1 unless set. */
  readonly count?: number | undefined;
  /**
   * Requests per second, on a schedule that a slow receiver does not stretch: latency then counts from the scheduled
   * time, so that waiting for a free connection shows. Unset: as fast as `concurrency` allows, counted from the send.
   */
  readonly ratePerSecond?: number | undefined;
  /** Requests under way at most, each on a connection of its own that is used again; 32 unless set. */
  readonly concurrency?: number | undefined;
  /** How many extra times each event is sent, byte for byte; 0 unless set. */
  readonly duplicate?: number | undefined;
  /** Send in random order, duplicates among the rest. Otherwise in order, duplicates right after their original. */
  readonly shuffle?: boolean | undefined;
  /** Sign with another secret. */
  readonly badSignature?: boolean | undefined;
  /** Laid over each event that is made. */
  readonly overrides?: EventOverrides | undefined;
  /** Send exactly this, `count` times, instead of making events; it is signed like any other. */
  readonly body?: string | Uint8Array | undefined;
  /** Stops the sending: what is under way is given up, and the report so far is returned. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each request that has ended, with and without an answer. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** How long an answer may take from the send on; 10,000 unless set, as BuzzBip waits. */
  readonly timeoutMs?: number | undefined;
}

/** The options with their defaults, checked. */
export interface SendPlan {
  readonly url: URL;
  readonly secret: string;
  readonly types: readonly BuzzBipEventType[];
  readonly count: number;
  readonly ratePerSecond: number | null;
  readonly concurrency: number;
  readonly copies: number;
  readonly shuffle: boolean;
  readonly badSignature: boolean;
  readonly overrides: EventOverrides;
  readonly body: Buffer | null;
  readonly timeoutMs: number;
}

const MAX_REQUESTS = 10_000_000;

/** @throws {TypeError | RangeError} for options that cannot be carried out. */
export function toSendPlan(options: SendOptions): SendPlan {
  const url = new URL(options.url);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new TypeError("url must be an http or https URL");
  const types = options.types ?? [options.type ?? "message.received"];
  if (types.length === 0) throw new TypeError("types must name at least one event type");
  const { ratePerSecond = null } = options;
  if (ratePerSecond !== null && !(ratePerSecond > 0 && ratePerSecond <= 1_000_000)) {
    throw new RangeError("ratePerSecond must be more than 0 and at most 1000000");
  }
  const count = wholeNumber("count", options.count ?? 1, 1, MAX_REQUESTS);
  const duplicate = wholeNumber("duplicate", options.duplicate ?? 0, 0, MAX_REQUESTS);
  wholeNumber("count times (duplicate + 1)", count * (duplicate + 1), 1, MAX_REQUESTS);
  return {
    url,
    secret: options.secret,
    types,
    count,
    ratePerSecond,
    concurrency: wholeNumber("concurrency", options.concurrency ?? 32, 1, 10_000),
    copies: duplicate + 1,
    shuffle: options.shuffle ?? false,
    badSignature: options.badSignature ?? false,
    overrides: options.overrides ?? {},
    body: options.body === undefined ? null : Buffer.from(options.body),
    timeoutMs: wholeNumber("timeoutMs", options.timeoutMs ?? 10_000, 1, 3_600_000),
  };
}

function wholeNumber(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(`${name} must be a whole number from ${min} to ${max}`);
}
