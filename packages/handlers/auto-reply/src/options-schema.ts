import { isUrlTemplate } from "@penstock/handler-sdk";
import { z } from "zod";
import { isTimeZone, WEEKDAYS } from "./business-hours.ts";

const whole = z.int("must be a whole number of at least 1").min(1, "must be a whole number of at least 1");
const text = (message: string) => z.string(message).min(1, message);

const span = z
  .string("must be a span as 09:00-18:00")
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d-(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, {
    error: "must be a span as 09:00-18:00",
    abort: true,
  })
  .refine((given) => given.slice(0, 5) < given.slice(6), "must end after it begins; past midnight is the next day's");

const holiday = z
  .string("must be a day as 2026-12-24, or 12-25 of every year")
  .refine(isDay, "must be a day as 2026-12-24, or 12-25 of every year");

export const optionsSchema = z.strictObject({
  url: z
    .string("is missing: give the URL that takes replies")
    .refine(
      (url) => isUrlTemplate(url, ["conversationId"]),
      "must be an http or https URL without user and password; {conversationId} can stand in it",
    ),
  headers: z
    .record(
      z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/, "must have names of HTTP headers"),
      z.string("must be text or env(…)").regex(/^[\t\x20-\x7e\x80-\xff]+$/, "cannot be sent in a header"),
    )
    .default({}),
  text: z.union([text("must be text"), z.function()], "must be text, or a function of the event that returns it"),
  toBody: z.function().optional(),
  timeZone: z.string("is missing: name a time zone").refine(isTimeZone, "must be an IANA time zone as Europe/Rome"),
  hours: z.strictObject(
    Object.fromEntries(WEEKDAYS.map((day) => [day, z.array(span, "must be a list of spans").optional()])) as {
      [Day in (typeof WEEKDAYS)[number]]: z.ZodOptional<z.ZodArray<typeof span>>;
    },
    {
      error: ({ code }) =>
        code === "unrecognized_keys" ? undefined : "must list spans by weekday, as { monday: […] }",
    },
  ),
  holidays: z.array(holiday, "must be a list of days").default([]),
  maxAgeMs: whole.max(86_400_000, "must be 86400000 (a day) at most").default(900_000),
  rateLimit: z.strictObject({ max: whole, perMs: whole }, "needs `max` and `perMs`").default({ max: 10, perMs: 1_000 }),
  timeoutMs: whole.max(600_000, "must be 600000 at most").default(10_000),
  name: z.string("must be text").default("auto-reply"),
});

/** A date that exists; of every year also 29 February. */
function isDay(day: string): boolean {
  const full = /^\d\d-\d\d$/.test(day) ? `2024-${day}` : day;
  if (!/^\d{4}-\d\d-\d\d$/.test(full)) return false;
  const date = new Date(`${full}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(full);
}
