import { expect, test } from "vitest";
import { isOpen, isTimeZone, toLocalTime } from "./business-hours.ts";

const shop = {
  timeZone: "Europe/Rome",
  hours: {
    monday: ["09:00-12:30", "14:00-18:00"],
    friday: ["18:00-24:00"],
    saturday: ["00:00-02:00"],
    sunday: ["01:00-03:00"],
  },
  holidays: ["2026-06-01", "12-25"],
};

test.each([
  ["2026-06-08T06:59:59Z", false, "before it opens, in summer"],
  ["2026-06-08T07:00:00Z", true, "as it opens"],
  ["2026-06-08T10:29:59Z", true, "before lunch"],
  ["2026-06-08T10:30:00Z", false, "at lunch"],
  ["2026-06-08T12:00:00Z", true, "after lunch"],
  ["2026-06-08T16:00:00Z", false, "as it closes"],
  ["2026-01-12T07:59:00Z", false, "before it opens, in winter an hour later by UTC"],
  ["2026-01-12T08:00:00Z", true, "as it opens in winter"],
  ["2026-06-09T10:00:00Z", false, "on a day that is not named"],
  ["2026-06-01T10:00:00Z", false, "on a holiday, a Monday"],
  ["2026-12-25T20:00:00Z", false, "on a holiday of every year, a Friday"],
  ["2026-06-12T21:59:00Z", true, "before midnight"],
  ["2026-06-12T22:00:00Z", true, "at midnight, which is the next day's"],
  // 29 March 2026: 02:00 is followed by 03:00, so two hours are one.
  ["2026-03-29T00:59:00Z", true, "before the hour that is left out"],
  ["2026-03-29T01:00:00Z", false, "after it: it is three"],
  // 25 October 2026: 02:00 to 03:00 comes twice, so two hours are three.
  ["2026-10-25T00:30:00Z", true, "in the hour that comes twice, the first time"],
  ["2026-10-25T01:30:00Z", true, "and the second time"],
  ["2026-10-25T02:00:00Z", false, "after it: it is three"],
])("at %s open is %s: %s", (instant, open) => {
  expect(isOpen(toLocalTime(new Date(instant), shop.timeZone), shop)).toBe(open);
});

test("a day is the local one", () => {
  const instant = new Date("2026-06-01T23:30:00Z");
  const days = ["Pacific/Kiritimati", "Europe/Rome", "UTC", "America/Los_Angeles"].map(
    (timeZone) => toLocalTime(instant, timeZone).day,
  );
  expect(days).toEqual(["2026-06-02", "2026-06-02", "2026-06-01", "2026-06-01"]);
  expect(toLocalTime(new Date("2026-06-01T22:00:00Z"), "Europe/Rome")).toEqual({
    day: "2026-06-02",
    weekday: "tuesday",
    time: "00:00",
  });
});

test("time zones are told by name", () => {
  expect(["Africa/Tunis", "UTC", "+02:00", "Europe/Roma", ""].map(isTimeZone)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
