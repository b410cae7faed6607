import { hash } from "node:crypto";
import type { NewEvent } from "@penstock/intake";
import { keyOfBody, keyOfId } from "@penstock/sources";

/** The most events of a batch: an event's seq is so many times the number of its batch, and its place there. */
export const BATCH_EVENTS = 1_024;

/** What stands in `batches.meta` for each event. What is null or false is left out. */
interface EventMeta {
  readonly source: string;
  readonly id?: string;
  /** Its key in the ledger, where that is not made of what stands here: the id as sent is not the one that is shown. */
  readonly key?: string;
  readonly type?: string;
  readonly createdMs?: number;
  readonly subjects?: readonly string[];
  readonly problem?: string;
  readonly traceparent?: string;
  /** Whether its id alone tells that it is a duplicate. */
  readonly bodyVaries?: true;
  readonly bytes: number;
  readonly replayId?: string;
  readonly replayOf?: number;
}

/** Events in the form in which a batch is stored. */
export interface PackedBatch {
  readonly events: number;
  readonly meta: string;
  readonly bodies: Buffer;
}

/** Packs events into a batch. @throws RangeError when there are none, or too many for one. */
export function packBatch(events: readonly NewEvent[]): PackedBatch {
  if (events.length === 0 || events.length > BATCH_EVENTS) {
    throw new RangeError(`a batch has 1 to ${BATCH_EVENTS} events, not ${events.length}`);
  }
  const [only] = events;
  return {
    events: events.length,
    meta: JSON.stringify(events.map(toMeta)),
    bodies: events.length === 1 && only ? only.body : Buffer.concat(events.map(({ body }) => body)),
  };
}

function toMeta(event: NewEvent): EventMeta {
  const { source, eventId, key, type, createdAt, subjects, problem, traceparent, bodyVaries, body, replay } = event;
  return {
    source,
    ...(eventId !== null && { id: eventId }),
    ...(key !== null && { key }),
    ...(type !== null && { type }),
    ...(createdAt !== null && { createdMs: createdAt.getTime() }),
    ...(subjects.length > 0 && { subjects }),
    ...(problem !== null && { problem }),
    ...(traceparent !== null && { traceparent }),
    ...(bodyVaries && { bodyVaries }),
    bytes: body.length,
    ...(replay && { replayId: replay.id, replayOf: replay.of }),
  };
}

/** A batch as it is read. */
export interface BatchRow {
  readonly batch: string;
  readonly day: string;
  /** In microseconds since 1970. */
  readonly received_us: string;
  readonly meta: string;
  readonly bodies: Buffer;
}

/** An event as it stands in its batch, with what the ledger is asked for. */
export interface UnpackedEvent extends Required<Omit<NewEvent, "eventId" | "bodyVaries" | "replay">> {
  readonly seq: number;
  readonly day: string;
  readonly id: string | null;
  /** SHA-256 of source and id, in hex, or of source and body when it has no id: what makes a duplicate. */
  readonly key: string;
  /** SHA-256 of the body, in hex: what tells a duplicate from another event with the same id. */
  readonly bodyHash: string;
  readonly bodyAt: number;
  readonly replayId: string | null;
  readonly replayOf: number | null;
}

/** The hash that stands in the ledger where the body says nothing of whether an event is the same: that of no bytes. */
const ANY_BODY = sha256("");

/** The events of a batch, in its order. */
export function unpackBatch({ batch, day, meta, bodies }: BatchRow): UnpackedEvent[] {
  let end = 0;
  return (JSON.parse(meta) as EventMeta[]).map((one, place) => {
    const bodyAt = end;
    end += one.bytes;
    const body = bodies.subarray(bodyAt, end);
    const { source, id = null } = one;
    return {
      seq: Number(batch) * BATCH_EVENTS + place,
      day,
      source,
      id,
      key: one.key ?? (id === null ? keyOfBody(source, body) : keyOfId(source, id)),
      bodyHash: one.bodyVaries ? ANY_BODY : sha256(body),
      type: one.type ?? null,
      createdAt: one.createdMs === undefined ? null : new Date(one.createdMs),
      subjects: one.subjects ?? [],
      problem: one.problem ?? null,
      traceparent: one.traceparent ?? null,
      body,
      bodyAt,
      replayId: one.replayId ?? null,
      replayOf: one.replayOf ?? null,
    };
  });
}

/**
 * The same event under a key of its own, marked: another body was accepted under its id before. The same other body makes the
 * same key, so that it is a duplicate when it comes again.
 */
export function toConflict(event: UnpackedEvent): UnpackedEvent {
  const key = sha256(Buffer.concat([Buffer.from("conflict\0"), Buffer.from(event.key + event.bodyHash, "hex")]));
  return { ...event, key, problem: "id-conflict" };
}

/** In hex: a string costs a quarter of what a small buffer does. */
function sha256(data: string | Buffer): string {
  return hash("sha256", data, "hex");
}
