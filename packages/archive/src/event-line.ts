import { isUtf8 } from "node:buffer";
import type { ArchivedEvent } from "@penstock/store";
import { z } from "zod";

/** The first line of a file of events. */
export interface EventFileHeader {
  readonly penstock: "events";
  readonly version: 1;
  /** Where it is part of an archived day. */
  readonly day?: string;
  /** What was asked for, where it is an export. */
  readonly query?: string;
}

/** The last line: a file without one was cut off. */
export const endLine = (events: number): string => `${JSON.stringify({ end: true, events })}\n`;

/**
 * An event as a line. The body is text where its bytes are UTF-8, which JSON gives back byte for byte, and else in base64.
 * What is null or empty is left out.
 */
export function toLine(event: ArchivedEvent): string {
  const { seq, receivedUs, source, id, type, createdAt, subjects, problem, quarantine, key } = event;
  const { bodyVaries, traceparent, replay, arrival, body } = event;
  const line = {
    seq,
    receivedAt: toIso(receivedUs),
    source,
    ...(id !== null && { id }),
    ...(type !== null && { type }),
    ...(createdAt !== null && { createdAt: createdAt.toISOString() }),
    ...(subjects.length > 0 && { subjects }),
    ...(problem !== null && { problem }),
    ...(quarantine !== null && { quarantine }),
    ...(key !== null && { key }),
    ...(bodyVaries && { bodyVaries }),
    ...(traceparent !== null && { traceparent }),
    ...(replay !== null && { replay }),
    ...(arrival !== null && { arrival }),
    ...(isUtf8(body) ? { body: body.toString() } : { bodyBase64: body.toString("base64") }),
  };
  return `${JSON.stringify(line)}\n`;
}

const LINE = z
  .object({
    seq: z.int().nonnegative(),
    receivedAt: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    source: z.string(),
    id: z.string().nullable().default(null),
    type: z.string().nullable().default(null),
    createdAt: z.string().nullable().default(null),
    subjects: z.array(z.string()).default([]),
    problem: z.string().nullable().default(null),
    quarantine: z.object({ reason: z.string(), detail: z.string().nullable() }).nullable().default(null),
    key: z.string().nullable().default(null),
    bodyVaries: z.boolean().default(false),
    traceparent: z.string().nullable().default(null),
    replay: z.object({ id: z.string(), of: z.int() }).nullable().default(null),
    arrival: z
      .object({
        headers: z.array(z.object({ name: z.string(), value: z.string() })),
        secret: z.string().nullable(),
        signatureAgeMs: z.number().nullable(),
      })
      .nullable()
      .default(null),
    body: z.string().optional(),
    bodyBase64: z.string().optional(),
  })
  .refine(({ body, bodyBase64 }) => (body === undefined) !== (bodyBase64 === undefined), {
    error: "has neither body nor bodyBase64, or both",
  });

/** The event of a line. @throws Error what is wrong with the line, without its values. */
export function fromLine(line: unknown): ArchivedEvent {
  const read = LINE.safeParse(line);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new Error(`${issue?.path.join(".") || "the line"}: ${issue?.message ?? "is no event"}`);
  }
  const { receivedAt, createdAt, body, bodyBase64, ...same } = read.data;
  const created = createdAt === null ? null : new Date(createdAt);
  if (created !== null && Number.isNaN(created.getTime())) throw new Error("createdAt: is no time");
  return {
    ...same,
    receivedUs: toMicroseconds(receivedAt),
    createdAt: created,
    body: body === undefined ? Buffer.from(bodyBase64 ?? "", "base64") : Buffer.from(body),
  };
}

/** With microseconds, as Postgres has it. */
function toIso(us: number): string {
  const ms = new Date(Math.floor(us / 1_000)).toISOString().slice(0, -1);
  return `${ms}${String(us % 1_000).padStart(3, "0")}Z`;
}

const toMicroseconds = (text: string): number =>
  Date.parse(`${text.slice(0, 23)}Z`) * 1_000 + Number(text.slice(23, 26));
