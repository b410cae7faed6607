import { z } from "zod";

/** The first and the last instant that both a Postgres `timestamptz` and a four-digit ISO 8601 year can express. */
const EARLIEST_MS = Date.parse("0001-01-01T00:00:00Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59.999Z");

const isoDateTime = z.iso.datetime({ offset: true, abort: true });

/**
 * Reads a `createdAt`: ISO 8601 with seconds and with `Z` or an offset, in the years 1 to 9999 (UTC).
 * Anything else, of whatever type, is `null`; it never throws. Digits past the millisecond are cut off.
 *
 * @example
 * parseCreatedAt("2026-06-01T16:32:00+02:00")?.toISOString(); // "2026-06-01T14:32:00.000Z"
 * parseCreatedAt("yesterday"); // null
 */
export function parseCreatedAt(value: unknown): Date | null {
  // The length first: a timestamp is short, and what is not should cost nothing to refuse.
  if (typeof value !== "string" || value.length > 64 || !isoDateTime.safeParse(value).success) return null;
  const ms = Date.parse(value);
  return ms >= EARLIEST_MS && ms <= LATEST_MS ? new Date(ms) : null;
}

/**
 * What every BuzzBip event looks like from outside: `id`, `type`, `createdAt` and the object `data`.
 * Unknown fields are kept, here and in `data`; `createdAt` stays the string that was sent.
 * A key named `__proto__` is the one exception: it is dropped, since copying it would change the object's prototype.
 *
 * @example
 * const { type, createdAt } = envelopeSchema.parse(JSON.parse(body));
 */
export const envelopeSchema = z.looseObject({
  id: z.string().min(1),
  type: z.string().min(1),
  createdAt: isoDateTime.refine((text) => parseCreatedAt(text) !== null, "must be in the years 1 to 9999"),
  data: z.looseObject({}),
});

/** An event of which only the envelope has been checked: `data` is any object. */
export type Envelope = z.infer<typeof envelopeSchema>;
