import { expect, test } from "vitest";
import { ENDPOINT_DEFAULTS, endpointSettingsSchema } from "./endpoint.ts";

const settings = { ...ENDPOINT_DEFAULTS, url: "https://example.com/hook" };

/** What is wrong with settings, as `path: message`; empty when nothing is. */
function problems(more: object): string[] {
  const { error } = endpointSettingsSchema.safeParse({ ...settings, ...more });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

test("the defaults will do, and so will all that can be set", () => {
  expect(problems({})).toEqual([]);
  const all = {
    types: ["message.received"],
    filter: { "data.channel": ["sms"], type: ["a"] },
    lane: "data.contact.id",
  };
  expect(problems({ ...all, ratePerSecond: 5, scheduleMs: [0, 5_000], disableAfterFailures: 3 })).toEqual([]);
});

test.each(["X-BuzzBip-Signature", "X-Hub-Signature-256", "signature"])("a signature may stand in %s", (headerName) => {
  expect(problems({ headerName })).toEqual([]);
});

test.each([
  ...["Host", "content-length", "Transfer-Encoding", "webhook-id", "user-agent", "traceparent"].map((headerName) => [
    { headerName },
    /^headerName: is a header with a meaning of its own/,
  ]),
  ...["", "X Signature", "X-Signature:", "X\r\nY", "Ü", "x".repeat(101)].map((headerName) => [
    { headerName },
    /^headerName: must be the name of a header/,
  ]),
  [{ types: [] }, /^types: must name at least one/],
  [{ types: ["*", "message.received"] }, /^types: must be \* alone/],
  [{ lane: "contactId" }, /^lane: must name a field of the event/],
  [{ filter: { "data.": ["x"] } }, /must name a field of the event/],
  [{ concurrency: 0 }, /^concurrency: /],
  [{ scheduleMs: [-1] }, /^scheduleMs\.0: /],
  [{ surprise: 1 }, /surprise/],
] as [object, RegExp][])("%j is refused", (more, message) => {
  expect(problems(more).join("\n")).toMatch(message);
});
