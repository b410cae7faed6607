import { toStorableText } from "@penstock/schemas";
import { type EventIdentity, keyOfId } from "@penstock/sources";
import type { Arrival, NewEvent } from "./event-store.ts";

/** A verified request: its bytes and what was read from them. */
export interface VerifiedEvent {
  readonly source: string;
  readonly identity: EventIdentity;
  readonly body: Buffer;
  /** Whether the same event can come again with another body: its id alone then tells that it is a duplicate. Not unless given. */
  readonly bodyVaries?: boolean;
  readonly traceparent: string | null;
  /** Nothing is kept of how it came unless given. */
  readonly arrival?: Arrival | null;
}

const DISPLAY_CHARACTERS = 256;
const DAY_MS = 86_400_000;

/** Turns a verified event into what is stored; `windowDays` is how far back the ledger can vouch that an event is new. */
export function toNewEvent(event: VerifiedEvent, windowDays: number, now: number): NewEvent {
  const { source, identity, body, bodyVaries = false, traceparent, arrival = null } = event;
  const { id, type, createdAt, subjects } = identity;
  const tooOld = createdAt !== null && createdAt.getTime() < now - windowDays * DAY_MS;
  const eventId = id === null ? null : forDisplay(id);
  return {
    source,
    eventId,
    key: id === null || id === eventId ? null : keyOfId(source, id),
    type: type === null ? null : toStorableText(type),
    createdAt,
    subjects: subjects.map(toStorableText),
    problem: identity.problem ?? (tooOld ? "too-old" : null),
    traceparent,
    bodyVaries: bodyVaries && id !== null,
    body,
    replay: null,
    arrival,
  };
}

/** Nobody reads a kilobyte of id. */
export function forDisplay(id: string): string {
  return toStorableText(id.slice(0, DISPLAY_CHARACTERS));
}
