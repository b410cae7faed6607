import type {
  EndpointDisabled,
  IssueOpened,
  SubjectErased,
  KnownEvent,
  KnownEventOf,
  KnownEventType,
  PrefixedProvider,
} from "@penstock/schemas";

/**
 * The data of event types that have their provider in front, by type. Empty: declare what you know, and handlers are typed
 * by it.
 *
 * @example
 * declare module "@penstock/handler-sdk" {
 *   interface EventData { "acme.order.paid": { orderId: string } }
 * }
 */
export interface EventData {}

/** Types of providers that come with Penstock, declared or not. Those of others are declared in {@link EventData}. */
export type ProviderEventType = `${PrefixedProvider}.${string}`;

/** The data of the events that Penstock makes itself, by type. */
export interface OwnEventData {
  /** An endpoint has failed for too long, or said that it is gone: nothing is sent to it any more. */
  "endpoint.disabled": EndpointDisabled;
  /** Something needs a person: an issue is new, or has come back after it was resolved. */
  "penstock.issue.opened": IssueOpened;
  /** Somebody's data was erased. The event itself is erased once it is delivered. */
  "penstock.subject.erased": SubjectErased;
}

/** Every event type that a handler can subscribe to. */
// eslint-disable-next-line @typescript-eslint/no-redundant-type-constituents -- until somebody declares one
export type EventType = KnownEventType | keyof EventData | keyof OwnEventData | ProviderEventType;

/** What Penstock knows of an event besides what the provider sent. */
export interface EventMeta {
  /** The source that sent it, by its name in penstock.sources.ts. */
  readonly source: string;
  /** Penstock's own number of the event: unique, roughly in order of arrival. */
  readonly seq: number;
  /** When it was committed, by the clock of Postgres. */
  readonly receivedAt: Date;
  /**
   * The exact bytes that were received. `data` is what JSON.parse makes of them, which rounds numbers that a double cannot
   * hold; `sliceJson` reads such a number from here. Not enumerable, so an event that is logged or sent on as JSON does
   * not carry it.
   *
   * @example
   * const id = sliceJson(event.body, ["data", "orderId"])?.toString(); // "9007199254740993"
   */
  readonly body: Buffer;
}

/**
 * An event as a handler sees it: the envelope and data of its type, checked by the schema of that type.
 * Fields that the schema does not name are kept. `createdAt` is the provider's time, as a Date.
 *
 * @example
 * type Received = EventOf<"message.received">; // Received["data"]["messageId"] is a string
 */
export type EventOf<T extends EventType> = T extends KnownEventType
  ? Known<Omit<Known<KnownEventOf<T>>, "createdAt">> & { readonly createdAt: Date } & EventMeta
  : T extends EventType
    ? ProviderEvent<
        T,
        T extends keyof OwnEventData ? OwnEventData[T] : T extends keyof EventData ? EventData[T] : unknown
      >
    : never;

/** An event that has its provider in front of its type, or is Penstock's own: `data` is the body as the provider sent it, `unknown` until somebody declares it. */
interface ProviderEvent<T, Data> extends EventMeta {
  readonly id: string;
  readonly type: T;
  /** The provider's time; the time of receipt where it tells none. */
  readonly createdAt: Date;
  readonly data: Data;
}

/** The named fields of a loose object: with its index signature they would all be `unknown`. */
type Known<Loose> = { readonly [Key in keyof Loose as string extends Key ? never : Key]: Loose[Key] };

/** Any event. Narrow it by `type`. */
export type AnyEvent = EventOf<KnownEvent["type"]>;
