import { createHash } from "node:crypto";
import type { AnyEvent } from "@penstock/handler-sdk";

/** How far a provider's clock may be ahead of ours, in milliseconds, before its times are no longer believed. */
const TOLERANCE_MS = 5 * 60_000;

/** What comes later in the life of a thing wins where two events have the same time: BuzzBip's may be whole seconds. */
const STAGES: Readonly<Record<AnyEvent["type"], 0 | 1>> = {
  "contact.created": 0,
  "contact.updated": 1,
  "conversation.opened": 0,
  "conversation.resolved": 1,
  "message.received": 0,
  "message.sent": 0,
  "message.failed": 1,
  "workflow.triggered": 0,
};

/**
 * When an event happened: the provider's `createdAt`, but at most five minutes after the event was received. Else
 * one event that claims to be from the year 9999 would win over all that follow, for ever. As ISO 8601 in UTC, whose
 * order as text is the order of time.
 */
export function timeOf({ createdAt, receivedAt }: Pick<AnyEvent, "createdAt" | "receivedAt">): string {
  return new Date(Math.min(createdAt.getTime(), receivedAt.getTime() + TOLERANCE_MS)).toISOString();
}

/**
 * The version of what an event says, e.g. `2026-06-01T14:32:00.000Z 0 evt_7f3a9b2c`: of two, the one that is greater as
 * text counts, whichever came first. No two events of a source have the same. `time` is that of {@link timeOf}.
 */
export function versionOf(event: Pick<AnyEvent, "id" | "type" | "createdAt">, time: string): string {
  const created = event.createdAt.toISOString();
  // Among events that are all from the future and were received together, their own times still tell.
  const claimed = created === time ? "" : `<${created}`;
  return `${time}${claimed} ${STAGES[event.type]} ${toPlain(event.id)}`;
}

/**
 * The version of what a message gives away of its conversation: lower than any event about the conversation itself, and
 * the same whenever the same is said, so that a thousand messages of one conversation do not rewrite its row.
 */
export function hintVersionOf(value: string): string {
  return `(message) ${toPlain(value)}`;
}

/** An id or name as short, printable ASCII, which Postgres can store: itself where it is that, else its SHA-256. */
export function toPlain(text: string): string {
  return /^[!-~]{1,64}$/.test(text) ? text : `sha256:${createHash("sha256").update(text, "utf16le").digest("hex")}`;
}
