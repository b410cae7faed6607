import type { Arrival, NewEvent } from "@penstock/intake";
import { type ShownArrival, unpackArrival } from "../events/arrivals.ts";
import { type BatchRow, toConflict, toMeta, type UnpackedEvent, unpackBatch } from "../events/batch-format.ts";

/** An event as it is archived and exported: all that was received, and nothing of what handlers made of it. */
export interface ArchivedEvent {
  readonly seq: number;
  /** When it was received, in microseconds since 1970. */
  readonly receivedUs: number;
  readonly source: string;
  readonly id: string | null;
  readonly type: string | null;
  readonly createdAt: Date | null;
  readonly subjects: readonly string[];
  readonly problem: string | null;
  /** Where it is in quarantine: why. */
  readonly quarantine: { readonly reason: string; readonly detail: string | null } | null;
  /** Its key in the ledger, where that is not made of `id`. */
  readonly key: string | null;
  readonly bodyVaries: boolean;
  readonly traceparent: string | null;
  readonly replay: { readonly id: string; readonly of: number } | null;
  readonly arrival: ShownArrival | null;
  readonly body: Buffer;
}

/** What is recorded of an event of a batch besides what stands in the batch. */
export interface RecordedEvent {
  readonly seq: number;
  readonly problem: string | null;
  readonly reason: string | null;
  readonly detail: string | null;
}

/** The events of a batch that were recorded; what was a copy of another is left out. */
export function toArchivedEvents(
  batch: BatchRow & { readonly arrivals: string | null },
  recorded: readonly RecordedEvent[],
): ArchivedEvent[] {
  const bySeq = new Map(recorded.map((one) => [one.seq, one]));
  const keys = keysOf(batch.meta);
  return unpackBatch(batch).flatMap((event, place): ArchivedEvent[] => {
    const row = bySeq.get(event.seq);
    if (row === undefined) return [];
    const { seq, source, id, type, createdAt, subjects, traceparent, body, replayId, replayOf } = event;
    return [
      {
        seq,
        receivedUs: Number(batch.received_us),
        source,
        id,
        type,
        createdAt,
        subjects,
        problem: row.problem,
        quarantine: row.reason === null ? null : { reason: row.reason, detail: row.detail },
        key: keys[place]?.key ?? null,
        bodyVaries: keys[place]?.bodyVaries ?? false,
        traceparent,
        replay: replayId === null || replayOf === null ? null : { id: replayId, of: replayOf },
        arrival: unpackArrival(batch.arrivals, place),
        body,
      },
    ];
  });
}

const keysOf = (meta: string) => JSON.parse(meta) as { readonly key?: string; readonly bodyVaries?: boolean }[];

/** The same names are one array, as they are when they come in. */
const names = new Map<string, readonly string[]>();

/** How an event came, as intake has it. */
export function toArrival({ headers, secret, signatureAgeMs }: ShownArrival): Arrival {
  const own = headers.map(({ name }) => name);
  const known = names.get(own.join("\n")) ?? own;
  if (names.size < 1_000) names.set(own.join("\n"), known);
  return { names: known, values: headers.map(({ value }) => value), secret, signatureAgeMs };
}

/** The event as intake takes it. */
export function toNewEvent(event: ArchivedEvent): NewEvent {
  const { source, id, key, type, createdAt, subjects, problem, traceparent, bodyVaries, body, replay, arrival } = event;
  return {
    source,
    eventId: id,
    key,
    type,
    createdAt,
    subjects,
    problem,
    traceparent,
    bodyVaries,
    body,
    replay,
    arrival: arrival === null ? null : toArrival(arrival),
  };
}

/** What stands in the ledger for an event. */
export function ledgerEntryOf(day: string, event: ArchivedEvent): Pick<UnpackedEvent, "key" | "bodyHash"> {
  const { body } = event;
  const meta = JSON.stringify([toMeta(toNewEvent(event))]);
  const [unpacked] = unpackBatch({ batch: "0", day, received_us: "0", meta, bodies: body });
  if (unpacked === undefined) throw new Error("an event makes a batch of one");
  return event.problem === "id-conflict" ? toConflict(unpacked) : unpacked;
}
