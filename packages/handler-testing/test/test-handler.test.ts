import { type AnyEvent, defineHandler, sliceJson } from "@penstock/handler-sdk";
import { testHandler } from "@penstock/handler-testing";
import { expect, expectTypeOf, test } from "vitest";
import { greetings, later, ordered, poster } from "./handlers.ts";

test("what was sent since the last settle is handled as one batch, and the rows are there", async () => {
  await using t = await testHandler(greetings);
  const first = await t.send("message.received", { data: { body: "hello" } });
  const second = await t.send("message.received", { id: "evt_b", data: { body: undefined } });
  expect(await t.rows("greetings")).toEqual([]);
  await t.settle();
  const rows = await t.rows("greetings");
  expectTypeOf(rows).toEqualTypeOf<{ event_id: string; body: string; batch: number }[]>();
  expect(rows).toHaveLength(2);
  expect(rows).toContainEqual({ event_id: first.id, body: "hello", batch: 2 });
  expect(second).toMatchObject({ id: "evt_b", type: "message.received" });
  expect((await t.deliveries()).map(({ event, state, tries }) => ({ event, state, tries }))).toEqual([
    { event: first.id, state: "succeeded", tries: [] },
    { event: "evt_b", state: "succeeded", tries: [] },
  ]);
  const one = await t.db.selectFrom("greetings").select("body").where("event_id", "=", "evt_b").executeTakeFirst();
  expect(one).toEqual({ body: "" });
});

test("with batches of one, each event goes to handle by itself", async () => {
  await using t = await testHandler(greetings, { batchEvents: 1 });
  await t.send("message.received");
  await t.send("message.received");
  await t.settle();
  expect((await t.rows("greetings")).map(({ batch }) => batch)).toEqual([0, 0]);
});

test("the same id again is a duplicate, and what nobody understands is in quarantine", async () => {
  await using t = await testHandler(greetings);
  const sent = { id: "evt_a", createdAt: "2026-06-01T00:00:00Z", data: { body: "x" } };
  for (const again of [sent, sent, { ...sent, data: { body: "y" } }]) await t.send("message.received", again);
  await t.send("message.received", { id: "evt_c", body: "no JSON" });
  const wrong = '{"id":"evt_d","type":"message.received","createdAt":"2026-06-01T00:00:00Z","data":{}}';
  await t.send("message.received", { id: "evt_d", body: wrong });
  await t.settle();
  expect((await t.rows("greetings")).map((row) => [row.event_id, row.body])).toEqual([["evt_a", "x"]]);
  expect((await t.quarantine()).map(({ event, reason }) => `${event} ${reason}`)).toEqual([
    "evt_a id-conflict",
    "evt_c not-json",
    "evt_d invalid-shape",
  ]);
});

test("a failure is tried again when its time has come, at its moment, until it is dead", async () => {
  await using t = await testHandler(greetings);
  await t.send("message.received", { id: "evt_a", data: { body: "unwell" } });
  await t.send("message.received", { id: "evt_b", data: { body: "well" } });
  await t.settle();
  expect((await t.rows("greetings")).map((row) => row.event_id)).toEqual(["evt_b"]);
  const state = async () => {
    const [delivery] = await t.deliveries();
    return { state: delivery?.state, attempts: delivery?.attempts, retryInMs: delivery?.retryInMs };
  };
  expect(await state()).toEqual({ state: "retrying", attempts: 1, retryInMs: 60_000 });
  await t.advance("59s");
  expect(await state()).toEqual({ state: "retrying", attempts: 1, retryInMs: 1_000 });
  await t.advance("31s");
  expect(await state()).toEqual({ state: "retrying", attempts: 2, retryInMs: 90_000 });
  await t.advance("1h");
  expect(await state()).toEqual({ state: "dead", attempts: 3, retryInMs: null });
  const [{ tries } = { tries: [] }] = await t.deliveries();
  expect(tries.map(({ attempt, outcome }) => `${attempt} ${outcome}`)).toEqual(["1 failed", "2 failed", "3 failed"]);
  expect(tries[0]?.error).toMatch(/check constraint/);
});

test("an effect is done once over its tries, and anew when it is replayed again", async () => {
  const { handler, calls } = poster(2);
  await using t = await testHandler(handler);
  const { id } = await t.send("message.failed");
  await t.settle();
  await t.advance("2m");
  expect(calls.map((call) => call.split(" ")[0])).toEqual(["ticket", "mail", "mail", "mail"]);
  expect(await t.effects()).toEqual([
    { event: id, handler: "poster", key: "ticket", result: { about: id }, generation: 0 },
    { event: id, handler: "poster", key: "mail", result: null, generation: 0 },
  ]);
  await t.replay(id);
  await t.settle();
  expect(calls).toHaveLength(4);
  await t.replay({ id }, { again: true, reason: "lost" });
  await t.settle();
  expect(calls.slice(4).map((call) => call.split(" ")[0])).toEqual(["ticket", "mail"]);
  expect(calls[4]).not.toBe(calls[0]);
  expect((await t.effects()).map(({ generation }) => generation)).toEqual([0, 0, 1, 1]);
});

test("a handler that names its wait gets it, and events of other providers reach it", async () => {
  const { handler, calls } = poster(1, later);
  await using t = await testHandler(handler);
  await t.send("stripe.charge.succeeded", { id: "evt_1", data: { amount: 5 } });
  await t.settle();
  expect((await t.deliveries())[0]).toMatchObject({ type: "stripe.charge.succeeded", retryInMs: 90_000 });
  await t.advance(90_000);
  expect(calls.slice(1)).toEqual(["mail evt_1", "mail evt_1"]);
});

test.each(["transactional", "effect"] as const)(
  "an %s handler reads from event.body, the exact bytes, what JSON.parse rounds; its lane does, too",
  async (kind) => {
    const body = '{"id":820982911946154509,"total":1.10,"total":1E3}';
    const ofBuzzBip =
      '{"id":"evt_b","type":"message.received","createdAt":"2026-06-01T00:00:00Z","body":"?","data":{"messageId":"m","conversationId":"c","contactId":"k","n":[9007199254740993]}}';
    const seen: unknown[] = [];
    const definition = {
      name: "exact",
      on: ["shopify.orders/create", "message.received"] as const,
      lane: (event: Pick<AnyEvent, "body">) => sliceJson(event.body, ["id"])?.toString() ?? null,
      handle(event: Pick<AnyEvent, "id" | "body">): void {
        const { body: bytes } = event;
        const path = event.id === "evt_b" ? ["data", "n", "0"] : ["total"];
        seen.push([Buffer.isBuffer(bytes), bytes.toString(), sliceJson(bytes, path)?.toString()]);
        // What is logged or sent on as JSON does not carry it.
        expect(JSON.stringify(event)).not.toContain('"body":{');
      },
    };
    await using t = await testHandler(
      kind === "effect" ? defineHandler({ ...definition, kind }) : defineHandler(definition),
    );
    await t.send("shopify.orders/create", { id: "evt_a", body });
    await t.settle();
    await t.send("message.received", { id: "evt_b", body: ofBuzzBip });
    await t.settle();
    expect(seen).toEqual([
      [true, body, "1E3"],
      [true, ofBuzzBip, "9007199254740993"],
    ]);
    expect((await t.deliveries()).map(({ lane }) => lane)).toEqual(["820982911946154509", '"evt_b"']);
  },
);

test("a strict lane waits for what fails, and others do not", async () => {
  const { handler, seen, mend } = ordered("strict");
  await using t = await testHandler(handler);
  const say = (conversationId: string, body: string) =>
    t.send("message.received", { data: { conversationId, body }, createdAt: "2026-06-01T00:00:00Z" });
  for (const body of ["a1", "fail", "a2"]) await say("a", body);
  await say("b", "b1");
  await t.settle();
  expect(seen.toSorted()).toEqual(["a1", "b1"]);
  mend();
  await t.advance("1s");
  expect(seen.slice(2)).toEqual(["fail", "a2"]);
});

test("in a newest-wins lane what is older is skipped", async () => {
  const { handler, seen } = ordered("newest-wins");
  await using t = await testHandler(handler);
  for (const [body, minute] of Object.entries({ new: 2, old: 1 })) {
    await t.send("message.received", { data: { body }, createdAt: `2026-06-01T00:0${minute}:00Z` });
    await t.settle();
  }
  expect(seen).toEqual(["new"]);
  expect((await t.deliveries()).map(({ state }) => state)).toEqual(["succeeded", "skipped"]);
});

test("a handler sees another's tables only where it declares that", async () => {
  for (const reads of [[], ["greetings"]]) {
    const nosy = defineHandler({
      name: "nosy",
      on: ["message.received"],
      reads,
      handle: async (_event, ctx) => void (await ctx.tx.selectFrom("greetings.greetings").selectAll().execute()),
    });
    await using t = await testHandler(nosy, { beside: [greetings] });
    await t.send("message.received");
    await t.settle();
    const found = (await t.deliveries()).find(({ handler }) => handler === "nosy");
    if (reads.length > 0) expect(found).toMatchObject({ state: "succeeded", error: null });
    else expect(found?.error).toContain("permission denied for schema greetings");
  }
});

test("the story tells each try, its error, what was done once, log lines and rows", async () => {
  const { handler } = poster(9);
  await using t = await testHandler(greetings, { beside: [handler] });
  await t.send("message.received", { id: "evt_a", createdAt: "2026-06-01T00:00:00Z", data: { body: "unwell" } });
  await t.send("message.received", { id: "evt_b", createdAt: "2026-06-01T00:00:00Z", data: { body: "hi" } });
  await t.send("message.failed", { id: "evt_c", createdAt: "2026-06-01T00:00:00Z" });
  await t.advance("1s");
  expect(await t.story()).toBe(`The story so far, 1 s on:
message.received evt_a
  sent, created 2026-06-01T00:00:00.000Z
  greetings: retrying after 1 try, tried again in 59 s
    try 1 failed: DatabaseError: new row for relation "greetings" violates check constraint "greetings_body_check"
  log info: greeting {"tries":1}
message.received evt_b
  sent, created 2026-06-01T00:00:00.000Z
  greetings: succeeded after 1 try
  log info: greeting {"tries":1}
message.failed evt_c
  sent, created 2026-06-01T00:00:00.000Z
  poster: retrying after 2 tries, tried again in 1 min
    try 1 failed: Error: it is down
    try 2 failed: Error: it is down
    once "ticket": {"about":"evt_c"}
greetings.greetings: 1 row
  {"event_id":"evt_b","body":"hi","batch":0}`);
});

test.each([
  ["advance", (t) => t.advance("1 week"), /"1 week" is no duration/],
  ["replay", (t) => t.replay("evt_nobody"), /no event evt_nobody was sent/],
  ["send", (t) => t.send("message.received", { source: "acme" }), /no source acme.*it has buzzbip, stripe/],
] satisfies [string, (t: Awaited<ReturnType<typeof open>>) => Promise<unknown>, RegExp][])(
  "%s says what is wrong with what it was given",
  async (_name, act, message) => {
    await using t = await open();
    await expect(act(t)).rejects.toThrow(message);
  },
);

const open = () => testHandler(greetings);
