import { crc32 } from "node:zlib";
import { z } from "zod";
import type { Arrival } from "../event-store.ts";
import type { VerifiedEvent } from "../new-event.ts";

/** The first line of every refused file. `penstock import` tells the kind of a file by it. */
export const REFUSED_FILE_HEADER = '{"penstock":"refused-requests","version":1}';

/** The header under which an operator finds when the request really came. */
const REFUSED_AT = "penstock-refused-at";

/** A signed request that was answered with 503. */
export interface RefusedEvent {
  readonly event: VerifiedEvent;
  readonly refusedAt: Date;
}

const line = z.object({
  refusedAt: z.iso.datetime(),
  source: z.string().min(1),
  id: z.string().nullable(),
  type: z.string().nullable(),
  createdAt: z.iso.datetime().nullable(),
  timeUnread: z.boolean(),
  subjects: z.array(z.string()).readonly(),
  problem: z.enum(["not-utf8", "not-json", "no-envelope"]).nullable(),
  bodyVaries: z.boolean(),
  traceparent: z.string().nullable(),
  arrival: z
    .object({
      names: z.array(z.string()).readonly(),
      values: z.array(z.string().nullable()),
      secret: z.string().nullable(),
      signatureAgeMs: z.number().nullable(),
    })
    .nullable(),
  body: z.base64(),
});

const CRC = /,"crc":"([0-9a-f]{8})"\}$/;

/** One line, without its newline: JSON with a checksum at its end, since a crash can leave anything in its place. */
export function toRefusedLine({ event, refusedAt }: RefusedEvent): string {
  const { source, identity, body, bodyVaries = false, traceparent, arrival = null } = event;
  const text = JSON.stringify({
    refusedAt: refusedAt.toISOString(),
    source,
    ...identity,
    createdAt: identity.createdAt?.toISOString() ?? null,
    bodyVaries,
    traceparent,
    arrival: arrival && { ...arrival, values: arrival.values.map((value) => value ?? null) },
    body: body.toString("base64"),
  } satisfies z.input<typeof line>);
  return `${text.slice(0, -1)},"crc":"${checksum(text)}"}`;
}

/** Null for a line that is torn, damaged, or was never one of ours. */
export function fromRefusedLine(text: string): RefusedEvent | null {
  const found = CRC.exec(text);
  if (found === null) return null;
  const content = `${text.slice(0, found.index)}}`;
  if (checksum(content) !== found[1]) return null;
  const parsed = line.safeParse(JSON.parse(content));
  if (!parsed.success) return null;
  const { refusedAt, source, id, type, createdAt, timeUnread, subjects, problem, ...rest } = parsed.data;
  return {
    refusedAt: new Date(refusedAt),
    event: {
      source,
      identity: {
        id,
        type,
        createdAt: createdAt === null ? null : new Date(createdAt),
        timeUnread,
        subjects,
        problem,
      },
      body: Buffer.from(rest.body, "base64"),
      bodyVaries: rest.bodyVaries,
      traceparent: rest.traceparent,
      arrival: toArrival(rest.arrival, refusedAt),
    },
  };
}

function toArrival(kept: z.infer<typeof line>["arrival"], refusedAt: string): Arrival {
  const { names = [], values = [], secret = null, signatureAgeMs = null } = kept ?? {};
  return {
    names: namesWithTime(names),
    values: [...values.map((value) => value ?? undefined), refusedAt],
    secret,
    signatureAgeMs,
  };
}

const known = new Map<string, readonly string[]>();

/** The same array for the same names: a batch is stored with each array of names once. */
function namesWithTime(names: readonly string[]): readonly string[] {
  const key = names.join();
  let all = known.get(key);
  if (all === undefined) known.set(key, (all = [...names, REFUSED_AT]));
  return all;
}

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, "0");
