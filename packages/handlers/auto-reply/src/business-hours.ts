export const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;

/** When somebody answers. All times are those of clocks on the wall in the time zone. */
export interface BusinessHours {
  /** IANA, e.g. `Europe/Rome`. */
  readonly timeZone: string;
  /** Spans of each weekday, e.g. `["09:00-12:30", "14:00-18:00"]`; a day without is closed. `24:00` is its end. */
  readonly hours: { readonly [Day in (typeof WEEKDAYS)[number]]?: readonly string[] | undefined };
  /** Days that are closed: `2026-12-24`, or of every year `12-25`. */
  readonly holidays: readonly string[];
}

/** What clocks and calendars say in a time zone. */
interface LocalTime {
  /** `YYYY-MM-DD`. */
  readonly day: string;
  readonly weekday: (typeof WEEKDAYS)[number];
  /** `HH:MM`, 00:00 to 23:59. */
  readonly time: string;
}

/**
 * An instant in a time zone, daylight saving time included: an instant has one local time, so there is nothing to guess
 * (only the way back is ambiguous, and nobody goes it).
 */
export function toLocalTime(instant: Date, timeZone: string): LocalTime {
  const parts = new Map(
    formatterOf(timeZone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, value]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? "";
  const weekday = part("weekday").toLowerCase();
  return {
    day: `${part("year")}-${part("month")}-${part("day")}`,
    weekday: WEEKDAYS.find((name) => name === weekday) ?? "monday",
    time: `${part("hour")}:${part("minute")}`,
  };
}

/** Whether somebody answers at this local time; a span's beginning belongs to it, its end does not. */
export function isOpen({ day, weekday, time }: LocalTime, { hours, holidays }: BusinessHours): boolean {
  if (holidays.includes(day) || holidays.includes(day.slice(5))) return false;
  return (hours[weekday] ?? []).some((span) => {
    const [from = "", to = ""] = span.split("-");
    return from <= time && time < to;
  });
}

/** Whether the runtime knows this time zone by name; a plain offset knows no daylight saving time. */
export function isTimeZone(timeZone: string): boolean {
  try {
    return /^[A-Za-z]/.test(timeZone) && formatterOf(timeZone) !== undefined;
  } catch {
    return false;
  }
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Each takes longer to make than all that is done with it. */
function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat("en-US", {
      timeZone,
      calendar: "gregory",
      numberingSystem: "latn",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      weekday: "long",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    formatters.set(timeZone, formatter);
  }
  return formatter;
}
