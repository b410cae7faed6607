import { type EffectContext, env } from "@penstock/handler-sdk";
import { outsideServer, testHandler } from "@penstock/handler-testing";
import { fixtures } from "@penstock/schemas/fixtures";
import { expect, onTestFinished, test, vi } from "vitest";
import slackAlert, { type Tables } from "../src/index.ts";

/** Failures of these tests are told in minutes after this: it has to be recent, and they are in the past. */
const START_MS = Math.floor(Date.now() / 1_000) * 1_000 - 50 * 60_000;
const minute = (at: number): Date => new Date(START_MS + at * 60_000);

/** A handler that alerts at the third failure within 10 minutes and then rests for 15, and the Slack that it tells. */
async function given(options: Partial<Parameters<typeof slackAlert>[0]> = {}) {
  const slack = await outsideServer();
  vi.stubEnv("SLACK_WEBHOOK_URL", `${slack.url}/services/T0/B0/hunter2`);
  const handler = slackAlert({
    webhookUrl: env("SLACK_WEBHOOK_URL"),
    threshold: 3,
    windowMs: 600_000,
    cooldownMs: 900_000,
    ...options,
  });
  const t = await testHandler(handler);
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await t[Symbol.asyncDispose]();
    await slack[Symbol.asyncDispose]();
  });
  const fail = async (at: number, code = "unreachable") =>
    t.send("message.failed", { createdAt: minute(at), data: { error: { code, message: "Not <!here>" } } });
  const told = () => slack.requests.map(({ body }) => (JSON.parse(body) as { text: string }).text);
  return { slack, t, handler, fail, told };
}

test("the third failure within the window is told, with count, reasons, channels and an example, and no secret", async () => {
  const { slack, t, fail, told } = await given();
  await fail(0, "other");
  await fail(11);
  await fail(12, "other`s");
  await t.settle();
  expect(told()).toEqual([]);
  await t.send("message.failed", {
    id: "evt_example",
    createdAt: minute(13),
    data: {
      channel: "sms",
      messageId: "msg_7",
      error: { code: "unreachable", message: "The phone\nis <!channel> off" },
    },
  });
  await t.settle();
  const time = (at: number) =>
    `<!date^${minute(at).getTime() / 1_000}^{time_secs}|${minute(at).toISOString().slice(11, 19)} UTC>`;
  expect(told()).toEqual([
    `:rotating_light: *3 messages failed within 10 min*, the last at ${time(13)}
Most frequent: \`unreachable\` (2 of 3): The phone is &lt;!channel&gt; off
Also: \`other's\` (1)
By: whatsapp (2), sms (1)
For example: message \`msg_7\`, conversation \`conv_xyz789\`, contact \`cnt_def456\`, source buzzbip
Look: \`penstock events show evt_example\`
_No other alert before ${time(28)}._`,
  ]);
  expect(slack.requests[0]).toMatchObject({ method: "POST", path: "/services/T0/B0/hunter2" });
  expect(await t.story()).not.toContain("hunter2");
});

test("an outage makes one alert for each cool-down, in whatever order it is heard of and however often", async () => {
  const { t, fail, told } = await given();
  // Every 30 s, in an order that is mixed but the same each time.
  const times = Array.from({ length: 60 }, (_, at) => ((at * 37) % 60) / 2);
  const sent = [];
  for (const at of times.filter((time) => time < 15)) sent.push(await fail(at));
  await t.settle();
  expect(told()).toHaveLength(1);
  for (const { id } of sent) await t.replay(id, { again: true });
  await t.settle();
  expect(told()).toHaveLength(1);
  for (const at of times.filter((time) => time >= 15)) await fail(at);
  await t.settle();
  expect(told()).toHaveLength(2);
});

test("what comes late counts in the window in which it failed; what failed long ago, or in the future, does no harm", async () => {
  const { t, fail, told } = await given();
  for (const at of [-60, -59, -58, -57]) await fail(at); // older than an hour
  await fail(9.9);
  await fail(10.1);
  await t.settle();
  expect(told()).toEqual([]);
  await fail(0.2); // with those two it makes three in ten minutes
  await t.settle();
  expect(told()).toHaveLength(1);
  // A clock that is ahead: three now, which is one alert, and no cool-down until the year 2999.
  for (const year of [2997, 2998, 2999]) {
    await t.send("message.failed", { createdAt: new Date(`${year}-01-01T00:00:00Z`) });
  }
  await t.settle();
  expect(told()).toHaveLength(2);
  const last = await t.db.selectFrom("last_alert").select("at").executeTakeFirstOrThrow();
  expect(Number(last.at)).toBeLessThanOrEqual(Date.now());
});

test.each([
  {
    what: "asks for patience",
    answers: [{ status: 429, headers: { "retry-after": "30" } }],
    waits: [30_000],
    state: "succeeded",
  },
  { what: "is down", answers: [{ status: 500 }, "reset"] as const, waits: [2_000, 10_000], state: "succeeded" },
  { what: "does not know the webhook", answers: [{ status: 404, body: "no_service" }], waits: [], state: "dead" },
])("when Slack $what, the alert is $state; nothing is counted twice", async ({ answers, waits, state }) => {
  const { slack, t, fail, told } = await given();
  slack.next(...answers);
  for (const at of [0, 1, 2]) await fail(at);
  await t.settle();
  for (const wait of waits) {
    expect((await t.deliveries()).at(-1)).toMatchObject({ state: "retrying", retryInMs: wait });
    await t.advance(wait);
  }
  const last = (await t.deliveries()).at(-1);
  expect(last).toMatchObject({ state });
  if (state === "dead") expect(last?.error).toMatch(/answered with 404 \(no_service\)/);
  expect(new Set(told()).size).toBe(1);
  expect(told()).toHaveLength(answers.length + (state === "dead" ? 0 : 1));
  expect(await t.rows("failures")).toHaveLength(3);
  expect(await t.story()).not.toContain("hunter2");
});

test("workers that count side by side make one alert", async () => {
  const { t, handler, told } = await given({ threshold: 20 });
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const ctx: Omit<EffectContext<Tables>, "transaction"> = {
    log,
    signal: new AbortController().signal,
    attempt: 1,
    replay: null,
    idempotencyKey: "",
    once: async (_key, fn) => fn(),
  };
  const event = (seq: number) => ({
    ...fixtures["message.failed"],
    createdAt: minute(seq / 60),
    receivedAt: new Date(),
    source: "buzzbip",
    seq,
    body: Buffer.from("{}"),
  });
  await Promise.all(
    Array.from({ length: 20 }, async (_, seq) =>
      handler.handle(event(seq), { ...ctx, transaction: (_key, fn) => t.db.transaction().execute(fn) }),
    ),
  );
  expect(told()).toEqual([expect.stringContaining("*20 messages failed")]);
});

test("all that is wrong with the options is told at once, without values", () => {
  const options = { webhookUrl: "hunter2", threshold: 0, windowMs: 1.5 };
  expect(() => slackAlert(options)).toThrow(
    /^handler "slack-alert": `webhookUrl` must be an http.*; `threshold` must be.*; `windowMs` must be/,
  );
  expect(() => slackAlert(options)).not.toThrow(/hunter2/);
});

function ignore(): void {
  // Nothing is asked of it here.
}

test("failures of whoever is erased are deleted, by an id or by a text in them, and others stay", async () => {
  const { t } = await given({ threshold: 100 });
  const fail = async (contactId: string, message: string) =>
    t.send("message.failed", { createdAt: minute(0), data: { contactId, error: { code: "unreachable", message } } });
  await fail("cnt_ada", "off");
  await fail("cnt_bo", "no route to +39333");
  await fail("cnt_cy", "off");
  await t.settle();
  await t.erase("cnt_ada");
  await t.erase("cnt_ad");
  const left = async () => (await t.rows("failures")).map(({ example }) => example.contactId);
  expect(await left()).toEqual(["cnt_bo", "cnt_cy"]);
  await t.erase({ kind: "value", value: "+39333", path: null, sources: ["buzzbip"] });
  await t.erase({ kind: "value", value: "+39333", path: null, sources: ["buzzbip"] });
  expect(await left()).toEqual(["cnt_cy"]);
});
