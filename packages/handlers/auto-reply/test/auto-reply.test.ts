import { env } from "@penstock/handler-sdk";
import { outsideServer, testHandler } from "@penstock/handler-testing";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import autoReply from "../src/index.ts";

const MINUTE_MS = 60_000;
const now = new Date();
const ago = (minutes: number): Date => new Date(now.getTime() - minutes * MINUTE_MS);

// testHandler lets what waits be due, and moves no clock: this is the handler's.
beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now }));
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

/** A handler that is always out of hours, and what takes its replies. */
async function given(options: Partial<Parameters<typeof autoReply>[0]> = {}) {
  const api = await outsideServer();
  vi.stubEnv("REPLIES_AUTHORIZATION", "Bearer hunter2");
  const handler = autoReply({
    url: `${api.url}/conversations/{conversationId}/messages`,
    headers: { authorization: env("REPLIES_AUTHORIZATION") },
    text: "We are back at nine.",
    timeZone: "UTC",
    hours: {},
    timeoutMs: 1_000,
    ...options,
  });
  const t = await testHandler(handler);
  onTestFinished(async () => {
    await t[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
  });
  const receive = async (conversationId: string, minutes = 0) =>
    t.send("message.received", { createdAt: ago(minutes), data: { conversationId, channel: "sms" } });
  const settle = async () => {
    await t.settle();
    return (await t.deliveries()).map(({ state }) => state);
  };
  return { api, t, receive, settle, replied: () => api.requests.map(({ path }) => path.split("/")[2]) };
}

test("a conversation is answered once on a day, however many messages and replays come", async () => {
  const { api, t, receive, settle, replied } = await given();
  const [first, second] = [await receive("a"), await receive("a")];
  await receive("b/..");
  expect(await settle()).toEqual(["succeeded", "succeeded", "succeeded"]);
  expect(replied()).toEqual(["a", "b%2F.."]);
  const [request] = api.requests;
  expect(request).toMatchObject({ method: "POST", headers: { authorization: "Bearer hunter2" } });
  expect(JSON.parse(request?.body ?? "")).toEqual({
    conversationId: "a",
    contactId: "cnt_def456",
    channel: "sms",
    text: "We are back at nine.",
  });
  for (const event of [first, second]) await t.replay(event, { again: true });
  await receive("a");
  await settle();
  // Done anew: the one that was answered is, the other is still not the first of its day.
  expect(replied()).toEqual(["a", "b%2F..", "a"]);
  expect(await t.story()).not.toContain("hunter2");
});

test("days are local: one minute after midnight is another day", async () => {
  // A zone in which it is between midnight and one.
  const hour = now.getUTCHours();
  const timeZone = hour <= 12 ? `Etc/GMT+${hour}` : `Etc/GMT-${24 - hour}`;
  const { receive, settle, replied } = await given({ timeZone, maxAgeMs: 24 * 60 * MINUTE_MS });
  await receive("a", 120);
  await receive("a", now.getUTCMinutes() + 1);
  await settle();
  expect(replied()).toEqual(["a"]);
  await receive("a", now.getUTCMinutes());
  await settle();
  expect(replied()).toEqual(["a", "a"]);
});

test("nothing is sent in business hours, nor for what is old; a clock that is ahead is not believed", async () => {
  const always = ["00:00-24:00"];
  const week = Object.fromEntries(
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"].map((day) => [day, always]),
  );
  const open = await given({ hours: week });
  await open.receive("a");
  expect(await open.settle()).toEqual(["succeeded"]);
  expect(open.replied()).toEqual([]);

  const holiday = await given({ hours: week, holidays: [now.toISOString().slice(0, 10)] });
  await holiday.receive("a", -1_000_000);
  await holiday.receive("old", 16);
  expect(await holiday.settle()).toEqual(["succeeded", "succeeded"]);
  expect(holiday.replied()).toEqual(["a"]);
  expect(await holiday.t.rows("replied")).toHaveLength(1);
});

test("while the other side is down, it is tried with one key; what is answered by then is not answered late", async () => {
  const { api, t, receive, settle, replied } = await given();
  api.next({ status: 429, headers: { "retry-after": "90" } }, "reset", "hang", { status: 500 });
  await receive("a");
  await settle();
  expect(await t.deliveries()).toMatchObject([{ state: "retrying", retryInMs: 90_000 }]);
  await receive("a"); // its day is taken
  await t.advance("3m");
  expect((await t.deliveries()).map(({ state, attempts }) => `${state} ${attempts}`)).toEqual([
    "succeeded 5",
    "succeeded 1",
  ]);
  const keys = api.requests.map(({ headers }) => headers["idempotency-key"]);
  expect([keys.length, new Set(keys).size]).toEqual([5, 1]);

  api.always({ status: 503 });
  await receive("b");
  await settle();
  vi.setSystemTime(now.getTime() + 16 * MINUTE_MS);
  api.always({ status: 200 });
  await t.advance("16m");
  expect((await t.deliveries()).at(-1)).toMatchObject({
    state: "dead",
    error: expect.stringContaining("maxAgeMs") as string,
  });
  expect(replied().filter((conversation) => conversation === "b")).toHaveLength(1);
  // Nobody was answered: the next message of that conversation is.
  vi.setSystemTime(now);
  await receive("b");
  await settle();
  expect((await t.deliveries()).at(-1)).toMatchObject({ state: "succeeded" });
  expect(replied().filter((conversation) => conversation === "b")).toHaveLength(2);
});

test("all that is wrong with the options is told at once, without values", () => {
  const wrong = {
    url: "https://api.example/{conversation}",
    headers: { authorization: env("NOBODY_SET_THIS") },
    timeZone: "Europe/Roma",
    hours: { monday: ["9-18", "18:00-09:00"], caturday: [] },
    holidays: ["2026-02-30", "02-29"],
    maxAgeMs: 1e9,
  };
  let message = "";
  try {
    autoReply(wrong as never);
  } catch (error) {
    message = String(error);
  }
  for (const part of [
    "`url` must be",
    "`headers.authorization`: NOBODY_SET_THIS is not set",
    "`text` must be text",
    "`timeZone` must be an IANA time zone",
    "`hours.monday.0` must be a span",
    "`hours.monday.1` must end after it begins",
    "caturday",
    "`holidays.0` must be a day",
    "`maxAgeMs` must be",
  ]) {
    expect(message).toContain(part);
  }
  expect(message).not.toMatch(/holidays\.1|GMT|30/);
});

test("the conversation of whoever is erased is forgotten, and no other", async () => {
  const { t, receive, settle } = await given();
  for (const conversation of ["a", "b"]) await receive(conversation);
  await settle();
  await t.erase("a");
  await t.erase("a");
  expect((await t.rows("replied")).map((row) => row.conversation_id)).toEqual(["b"]);
});
