import type { BuzzBipEventType } from "@penstock/schemas";
import type { EventOverrides } from "@penstock/schemas/fixtures";
import { draw } from "./draw.ts";
import type { Overlay } from "./lay-over.ts";

/** What to send, where and how. */
export interface SendOptions {
  /** The whole URL of the webhook, http or https. */
  readonly url: string | URL;
  /** The signing secret that the receiver knows. */
  readonly secret: string;
  /** The type of all events; `message.received` unless `types` says otherwise. */
  readonly type?: BuzzBipEventType | undefined;
  /** Types that take turns, in an order that the seed decides: what is subscribed to. Goes before `type`. */
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
  /**
   * Retries of what was not answered with a 2xx in time, redirects included: 0 to 5, 0 unless set; BuzzBip's are 5. The
   * waits double, with jitter, and are as long as a Retry-After asks for (up to a minute).
   */
  readonly retries?: number | undefined;
  /** The first of these waits at most, in milliseconds; 1,000 unless set. */
  readonly retryBaseMs?: number | undefined;
  /** The share, from 0 to 1, of copies that are signed with another secret. */
  readonly badSignature?: number | undefined;
  /** The share of events that are created up to a day before they are sent. */
  readonly late?: number | undefined;
  /**
   * The share of copies that come as a storm: five requests at once after one another, each given up after 20 ms, whatever
   * comes of it, and then an ordinary one.
   */
  readonly storm?: number | undefined;
  /**
   * With the same seed, the same events have the same faults, in the same order; ids and times are new each time, since a
   * receiver would know them. Random unless set. An unsigned integer of 32 bits.
   */
  readonly seed?: number | undefined;
  /** Laid over each event that is made. */
  readonly overrides?: EventOverrides | undefined;
  /** Laid over the whole event after that, field by field, whatever fields it names. */
  readonly overlay?: Overlay | undefined;
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
  readonly retries: number;
  readonly retryBaseMs: number;
  readonly badSignature: number;
  readonly late: number;
  readonly storm: number;
  readonly seed: number;
  readonly overrides: EventOverrides;
  readonly overlay: Overlay;
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
  const seed = wholeNumber("seed", options.seed ?? Math.floor(Math.random() * 2 ** 32), 0, 2 ** 32 - 1);
  wholeNumber("count times (duplicate + 1)", count * (duplicate + 1), 1, MAX_REQUESTS);
  return {
    url,
    secret: options.secret,
    types: inOrderOf(types, (index) => draw(seed, "types", index)),
    count,
    ratePerSecond,
    concurrency: wholeNumber("concurrency", options.concurrency ?? 32, 1, 10_000),
    copies: duplicate + 1,
    shuffle: options.shuffle ?? false,
    retries: wholeNumber("retries", options.retries ?? 0, 0, 5),
    retryBaseMs: wholeNumber("retryBaseMs", options.retryBaseMs ?? 1_000, 1, 3_600_000),
    badSignature: share("badSignature", options.badSignature),
    late: share("late", options.late),
    storm: share("storm", options.storm),
    seed,
    overrides: options.overrides ?? {},
    overlay: options.overlay ?? {},
    body: options.body === undefined ? null : Buffer.from(options.body),
    timeoutMs: wholeNumber("timeoutMs", options.timeoutMs ?? 10_000, 1, 3_600_000),
  };
}

function wholeNumber(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(`${name} must be a whole number from ${min} to ${max}`);
}

function share(name: string, value = 0): number {
  if (value >= 0 && value <= 1) return value;
  throw new RangeError(`${name} must be a number from 0 to 1`);
}

function inOrderOf<T>(items: readonly T[], place: (index: number) => number): T[] {
  return items
    .map((item, index) => ({ item, place: place(index) }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
