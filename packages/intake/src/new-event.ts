import { hash } from "node:crypto";
import { toStorableText } from "@penstock/schemas";
import { type EventIdentity, keyOfBody, keyOfId } from "@penstock/sources";
import type { NewEvent } from "./event-store.ts";

/** A verified request: its bytes and what was read from them. */
export interface VerifiedEvent {
  readonly source: string;
  readonly identity: EventIdentity;
  readonly body: Buffer;
  /** Whether the same event can come again with another body: its id alone then tells that it is a duplicate. Not unless given. */
  readonly bodyVaries?: boolean;
  readonly traceparent: string | null;
}

const DISPLAY_CHARACTERS = 256;
const DAY_MS = 86_400_000;
/** The hash that stands in the ledger where the body says nothing of whether an event is the same: that of no bytes. */
const ANY_BODY = sha256("");

/**
 * Turns a verified event into the row to store. Its key is the SHA-256 of source and id, or of source and body when it
 * has no id; `windowDays` is how far back the ledger can vouch that an event is new.
 */
export function toNewEvent(event: VerifiedEvent, windowDays: number, now: number): NewEvent {
  const { source, identity, body, bodyVaries = false, traceparent } = event;
  const { id, type, createdAt, subjects } = identity;
  const tooOld = createdAt !== null && createdAt.getTime() < now - windowDays * DAY_MS;
  return {
    key: id === null ? keyOfBody(source, body) : keyOfId(source, id),
    bodyHash: bodyVaries && id !== null ? ANY_BODY : sha256(body),
    source,
    eventId: id === null ? null : forDisplay(id),
    type,
    createdAt,
    subjects,
    problem: identity.problem ?? (tooOld ? "too-old" : null),
    traceparent,
    body,
  };
}

/** The same event under a key of its own, marked: its id was taken by another body. */
export function toConflict(event: NewEvent): NewEvent {
  const key = sha256(Buffer.concat([Buffer.from("conflict\0"), Buffer.from(event.key + event.bodyHash, "hex")]));
  return { ...event, key, problem: "id-conflict" };
}

/** In hex: a string costs a quarter of what a small buffer does. */
function sha256(data: string | Buffer): string {
  return hash("sha256", data, "hex");
}

/** Nobody reads a kilobyte of id. */
export function forDisplay(id: string): string {
  return toStorableText(id.slice(0, DISPLAY_CHARACTERS));
}
