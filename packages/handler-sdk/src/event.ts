import type { BuzzBipEvent, BuzzBipEventOf, BuzzBipEventType } from "@penstock/schemas";

/** Every event type that a handler can subscribe to. */
export type EventType = BuzzBipEventType;

/** What Penstock knows of an event besides what the provider sent. */
export interface EventMeta {
  /** The source that sent it, e.g. `buzzbip`. */
  readonly source: string;
  /** Penstock's own number of the event: unique, roughly in order of arrival. */
  readonly seq: number;
  /** When it was committed, by the clock of Postgres. */
  readonly receivedAt: Date;
}

/**
 * An event as a handler sees it: the envelope and data of its type, checked by the schema of that type.
 * Fields that the schema does not name are kept. `createdAt` is the provider's time, as a Date.
 *
 * @example
 * type Received = EventOf<"message.received">; // Received["data"]["messageId"] is a string
 */
export type EventOf<T extends EventType> = T extends EventType
  ? Known<Omit<Known<BuzzBipEventOf<T>>, "createdAt">> & { readonly createdAt: Date } & EventMeta
  : never;

/** The named fields of a loose object: with its index signature they would all be `unknown`. */
type Known<Loose> = { readonly [Key in keyof Loose as string extends Key ? never : Key]: Loose[Key] };

/** Any event. Narrow it by `type`. */
export type AnyEvent = EventOf<BuzzBipEvent["type"]>;
