/** The first and the last instant that both a Postgres `timestamptz` and a four-digit ISO 8601 year can express. */
const EARLIEST_MS = Date.parse("0001-01-01T00:00:00Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** A time is short, and what is longer should cost nothing to refuse. */
export const MAX_TIME_LENGTH = 64;

/**
 * RFC 3339, and what else senders write for it: lower-case letters, a blank for the `T`, no seconds, offsets without a
 * colon or without minutes, `UTC` for `Z`. The zone has to be there. Without flags, since JSON Schema knows none.
 */
export const ISO_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)? ?(?:[Zz]|UTC|GMT|([+-])(\d\d)(?::?(\d\d))?)$/;

/** The form of nearly all: it needs no check of its own, which `Date.parse` would not make for the last days of a month. */
const PLAIN = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,3})?Z$/;

/** The date of mails and of HTTP (RFC 5322): `Mon, 01 Jun 2026 14:32:00 +0000`. */
const MAIL_TIME =
  /^(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d)(?::(\d\d))? (?:Z|UTC?|GMT|([+-])(\d\d)(\d\d))$/;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `20260601`, `20260601143200` and their like: a date without separators, which as a number would be in 1970, 1976 or 2612. */
const COMPACT_DATE = /^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4}|\d{6}|\d{9})?$/;

const DIGITS = /^-?\d{1,20}(?:\.\d{1,20})?$/;

/**
 * Reads a time in any form that senders use, in the years 1 to 9999 (UTC); anything else is `null`. It never throws.
 *
 * - Text with a zone, as {@link parseCreatedAt} reads it, or as mails have it.
 * - A number, or its digits, of seconds since 1970. From 10^11 on (1973) it is of milliseconds, from 10^14 on of
 *   microseconds, from 10^17 on of nanoseconds: seconds are read so up to the year 5138. 0 is no time: it is unset.
 * - A Date.
 *
 * Digits past the millisecond are cut off. Text without a zone is no time: nobody knows when it was. So is a date without
 * separators (`20260601143200`), as text or as a number.
 *
 * @example
 * parseTime(1_780_324_320)?.toISOString(); // "2026-06-01T14:32:00.000Z"
 * parseTime("1780324320123")?.toISOString(); // "2026-06-01T14:32:00.123Z"
 * parseTime("2026-06-01 14:32"); // null
 */
export function parseTime(value: unknown): Date | null {
  if (typeof value === "number") return fromNumber(value);
  if (value instanceof Date) return toDate(value.getTime());
  if (typeof value !== "string" || value.length > MAX_TIME_LENGTH) return null;
  return parseCreatedAt(value) ?? (DIGITS.test(value) ? fromNumber(Number(value)) : parseMailTime(value));
}

/**
 * Reads text in ISO 8601 with `Z` or an offset, in the years 1 to 9999 (UTC), in any of the forms of {@link ISO_TIME}.
 * Anything else, of whatever type, is `null`; it never throws. Digits past the millisecond are cut off.
 *
 * @example
 * parseCreatedAt("2026-06-01T16:32:00+02:00")?.toISOString(); // "2026-06-01T14:32:00.000Z"
 * parseCreatedAt("2026-06-01 14:32z")?.toISOString(); // "2026-06-01T14:32:00.000Z"
 * parseCreatedAt("yesterday"); // null
 */
export function parseCreatedAt(value: unknown): Date | null {
  if (typeof value !== "string" || value.length > MAX_TIME_LENGTH) return null;
  // For its speed alone: what follows reads the same.
  if (PLAIN.test(value)) return toDate(Date.parse(value));
  const found = ISO_TIME.exec(value);
  if (found === null) return null;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] = found;
  return toInstant(
    [Number(year), Number(month), Number(day), Number(hour), Number(minute), Number(second ?? 0)],
    fraction === undefined ? 0 : Number(fraction.slice(0, 3).padEnd(3, "0")),
    toOffset(sign, offsetHour, offsetMinute),
  );
}

function parseMailTime(text: string): Date | null {
  const [, day, month = "", year, hour, minute, second, sign, offsetHour, offsetMinute] = MAIL_TIME.exec(text) ?? [];
  const parts = [year, MONTHS.indexOf(month) + 1, day, hour, minute, second ?? 0].map(Number);
  return year === undefined ? null : toInstant(parts, 0, toOffset(sign, offsetHour, offsetMinute));
}

/** In minutes; `null` where it is more than a clock shows. */
function toOffset(sign: string | undefined, hours: string | undefined, minutes: string | undefined): number | null {
  if (sign === undefined) return 0;
  const [h, m] = [Number(hours), Number(minutes ?? 0)];
  return h > 23 || m > 59 ? null : (sign === "-" ? -1 : 1) * (h * 60 + m);
}

function toInstant(parts: readonly number[], ms: number, offset: number | null): Date | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  // Second 60 is a leap second.
  if (offset === null || hour > 23 || minute > 59 || second > 60) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // February 30 would be March 2.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return toDate(date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1_000 + ms);
}

function fromNumber(value: number): Date | null {
  // Unset, and not the beginning of 1970.
  if (value === 0) return null;
  if (COMPACT_DATE.test(String(value))) return null;
  const size = Math.abs(value);
  if (size < 1e11) {
    // A fraction such as .123 is no double: to the microsecond first, or its last digit is lost.
    return toDate(Math.floor(Math.round(value * 1e6) / 1e3));
  }
  return toDate(Math.floor(size < 1e14 ? value : size < 1e17 ? value / 1e3 : value / 1e6));
}

function toDate(ms: number): Date | null {
  return ms >= EARLIEST_MS && ms <= LATEST_MS ? new Date(ms) : null;
}
