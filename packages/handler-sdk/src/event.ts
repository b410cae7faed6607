import type { BuzzBipEvent, BuzzBipEventOf, BuzzBipEventType, EndpointDisabled } from "@penstock/schemas";

/**
 * The data of event types of providers other than BuzzBip, by type. Empty: whoever knows more declares it, and handlers
 * are typed by it.
 *
 * @example
 * declare module "@penstock/handler-sdk" {
 *   interface EventData { "stripe.charge.succeeded": Stripe.ChargeSucceededEvent }
 * }
 */
export interface EventData {}

/** Types of providers that come with Penstock, declared or not. Those of others are declared in {@link EventData}. */
export type ProviderEventType =
  `${"discord" | "github" | "hubspot" | "intercom" | "linear" | "meta" | "microsoft-graph" | "paddle" | "pagerduty" | "sendgrid" | "shopify" | "slack" | "square" | "standard-webhooks" | "stripe" | "trello" | "twilio" | "zendesk" | "zoom"}.${string}`;

/** The data of the events that Penstock makes itself, by type. */
export interface OwnEventData {
  /** An endpoint has failed for too long, or said that it is gone: nothing is sent to it any more. */
  "endpoint.disabled": EndpointDisabled;
}

/** Every event type that a handler can subscribe to. */
// eslint-disable-next-line @typescript-eslint/no-redundant-type-constituents -- until somebody declares one
export type EventType = BuzzBipEventType | keyof EventData | keyof OwnEventData | ProviderEventType;

/** What Penstock knows of an event besides what the provider sent. */
export interface EventMeta {
  /** The source that sent it, e.g. `buzzbip`. */
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
export type EventOf<T extends EventType> = T extends BuzzBipEventType
  ? Known<Omit<Known<BuzzBipEventOf<T>>, "createdAt">> & { readonly createdAt: Date } & EventMeta
  : T extends EventType
    ? ProviderEvent<
        T,
        T extends keyof OwnEventData ? OwnEventData[T] : T extends keyof EventData ? EventData[T] : unknown
      >
    : never;

/** An event of a provider other than BuzzBip, or of Penstock's own: `data` is the body as the provider sent it, `unknown` until somebody declares it. */
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
export type AnyEvent = EventOf<BuzzBipEvent["type"]>;
