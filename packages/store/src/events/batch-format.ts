import type { NewEvent } from "@penstock/intake";
import { keyOfBody, keyOfId, ledgerHash } from "@penstock/sources";
import { packArrivals } from "./arrivals.ts";

/** The most events of a batch: an event's seq is so many times the number of its batch, and its place there. */
export const BATCH_EVENTS = 1_024;

/** An event in `batches.meta`. Null and false are left out. */
export interface EventMeta {
  readonly source: string;
  readonly id?: string;
  /** The key in the ledger, where it is not made of `id`: the id as sent differs from the one that is shown. */
  readonly key?: string;
  readonly type?: string;
  readonly createdMs?: number;
  readonly subjects?: readonly string[];
  readonly problem?: string;
  readonly traceparent?: string;
  /** Whether the id alone decides that an event is a duplicate. */
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
  /** See arrivals.ts. */
  readonly arrivals: string | null;
}

/** Packs events into a batch. @throws RangeError for no events, or too many for one batch. */
export function packBatch(events: readonly NewEvent[]): PackedBatch {
  if (events.length === 0 || events.length > BATCH_EVENTS) {
    throw new RangeError(`a batch has 1 to ${BATCH_EVENTS} events, not ${events.length}`);
  }
  const [only] = events;
  return {
    events: events.length,
    meta: JSON.stringify(events.map(toMeta)),
    bodies: events.length === 1 && only ? only.body : Buffer.concat(events.map(({ body }) => body)),
    arrivals: packArrivals(events),
  };
}

/** An event as it stands in `batches.meta`. */
export function toMeta(event: NewEvent): EventMeta {
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

/** A batch as it is read from Postgres. */
export interface BatchRow {
  readonly batch: string;
  readonly day: string;
  /** In microseconds since 1970. */
  readonly received_us: string;
  readonly meta: string;
  readonly bodies: Buffer;
}

/** An event of a batch, with its keys for the ledger. */
export interface UnpackedEvent extends Required<Omit<NewEvent, "eventId" | "bodyVaries" | "replay" | "arrival">> {
  readonly seq: number;
  readonly day: string;
  readonly id: string | null;
  /** Hash of source and id, or of source and body when it has no id: what makes a duplicate. */
  readonly key: string;
  /** Hash of the body: what tells a duplicate from another event with the same id. */
  readonly bodyHash: string;
  readonly bodyAt: number;
  readonly replayId: string | null;
  readonly replayOf: number | null;
}

/** Stands in the ledger where the body says nothing of whether an event is the same. No body has this hash. */
const ANY_BODY = "0".repeat(32);

/** Whether an event is the one that the ledger knows by its id; `known`: the hash that stands there, if it does. */
export const isSameBody = (known: string | undefined, bodyHash: string): boolean =>
  known !== undefined && (known === bodyHash || known === ANY_BODY || bodyHash === ANY_BODY);

/** Unpacks the events of a batch, in order. */
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
      bodyHash: one.bodyVaries ? ANY_BODY : ledgerHash(body),
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
 * Marks an event whose id was accepted with another body before, and gives it a key of its own. The key is made of the body, so a
 * copy of this event is a duplicate.
 */
export function toConflict(event: UnpackedEvent): UnpackedEvent {
  const key = ledgerHash(Buffer.concat([Buffer.from("conflict\0"), Buffer.from(event.key + event.bodyHash, "hex")]));
  return { ...event, key, problem: "id-conflict" };
}
