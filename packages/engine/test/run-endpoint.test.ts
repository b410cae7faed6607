import { createGuard, createSender, generateMasterKey, generateSecret, parseMasterKeys } from "@penstock/dispatch";
import type { Engine, EngineStore, Outbound } from "@penstock/engine";
import { ENDPOINT_DEFAULTS, type EndpointSettings } from "@penstock/schemas";
import {
  buzzbip,
  defineSource,
  defineSources,
  github,
  hmac,
  type ParsedBody,
  standardWebhooks,
  twilio,
} from "@penstock/sources";
import {
  cancelOrphaned,
  createEngineStore,
  createEndpoint,
  createReplay,
  deleteEndpoint,
  findDueEndpoints,
  findUnqueuedBatches,
  listEndpoints,
  pauseHandler,
  resumeEndpoint,
  rotateEndpointSecret,
  showEvents,
  type Store,
  updateEndpoint,
} from "@penstock/store";
import { accept, answer, eventually, openSink, type Sink } from "@penstock/testing";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  addBatch,
  deliveries,
  effectHandler,
  effects,
  engineOn,
  openTestStore,
  register,
  rows,
} from "./engine-under-test.ts";

const keyring = parseMasterKeys(generateMasterKey());
const secret = generateSecret();
const sender = createSender({ guard: createGuard({ allow: ["127.0.0.0/8"], ports: [443] }) });
const outbound = {
  post: (request: Parameters<typeof sender.post>[0]) => sender.post({ timeoutMs: 2_000, ...request }),
  openSecret: (sealed: string, id: string) => keyring.open(sealed, id),
};
/** For requests that a test holds. */
const patient = {
  ...outbound,
  post: (request: Parameters<typeof sender.post>[0]) => sender.post({ ...request, timeoutMs: 60_000 }),
};
const never = new AbortController().signal;

let store: Store;
let sink: Sink;
let engine: Engine;
beforeEach(async () => {
  store = await openTestStore();
  sink = await openSink();
  engine = engineOn(store, [], { outbound });
});
afterEach(async () => {
  await sink.close();
  await store.close();
});

async function addEndpoint(id: string, settings: Partial<EndpointSettings> = {}): Promise<void> {
  const all = { ...ENDPOINT_DEFAULTS, url: sink.url, ...settings };
  await createEndpoint(store, { id, secret: keyring.seal(secret, id), settings: all }, "test");
}

/** Commits and processes events. */
async function process(events: Parameters<typeof addBatch>[1]) {
  return engine.processBatch({ batches: [await addBatch(store, events)], startedBefore: 0 });
}

/** Runs every endpoint for which something is due until none is. */
async function runAll(): Promise<void> {
  for (;;) {
    const due = await findDueEndpoints(store, null);
    if (due.length === 0) return;
    await Promise.all(due.map((id) => engine.runEndpoint(id, never)));
  }
}

const idsOf = (of: Sink): string[] => of.received.map(({ body }) => (JSON.parse(body.toString()) as { id: string }).id);
const makeDue = () =>
  store.pool.query(`UPDATE penstock.deliveries SET next_attempt_at = now() WHERE state = 'retrying'`);
const unpark = () =>
  store.pool.query("UPDATE penstock.endpoints SET parked_until = now() WHERE parked_until IS NOT NULL");
const endpoint = async (id: string) => (await listEndpoints(store, { id }))[0]!;

describe("what is sent", () => {
  test("an event goes to every endpoint that wants its type and lets it through, signed in both ways, and to no other", async () => {
    await addEndpoint("ep_all");
    await addEndpoint("ep_type", { types: ["contact.created"] });
    await addEndpoint("ep_filter", { filter: { "data.channel": ["sms", "whatsapp"], type: ["message.received"] } });
    const report = await process([
      { id: "evt_1", data: { channel: "whatsapp" } },
      { id: "evt_2", data: { channel: "mail" } },
      { id: "evt_3", type: "contact.created" },
    ]);
    expect(report.waiting.toSorted()).toEqual(["ep_all", "ep_filter", "ep_type"]);
    await runAll();
    expect(await deliveries(store)).toEqual([
      "evt_1 ep_all succeeded",
      "evt_1 ep_filter succeeded",
      "evt_2 ep_all succeeded",
      "evt_3 ep_all succeeded",
      "evt_3 ep_type succeeded",
    ]);
    const [{ headers, body }] = sink.received as [Sink["received"][number]];
    const header = (name: string) => headers[name]?.toString();
    expect(buzzbip().verify({ header, body, url: "/" }, [secret], Date.now())).toMatchObject({ ok: true });
    new Webhook(secret).verify(body, headers as Record<string, string>);
    expect(headers["content-type"]).toBe("application/json");
    const [stored] = await showEvents(store, (JSON.parse(body.toString()) as { id: string }).id);
    expect(body).toEqual(stored?.body);
    expect(new Set(sink.received.map((one) => one.headers["webhook-id"])).size).toBe(5);
  });

  test("while a secret is rotated both sign, and the old one no longer when its time is over", async () => {
    await addEndpoint("ep_1", { headerName: "X-Acme" });
    const next = generateSecret();
    await rotateEndpointSecret(store, "ep_1", { secret: keyring.seal(next, "ep_1"), overlapMs: 60_000 }, "test");
    await process([{ id: "evt_1" }]);
    await runAll();
    await store.pool.query("UPDATE penstock.endpoints SET previous_until = now()");
    await process([{ id: "evt_2" }]);
    await runAll();
    const [both, one] = sink.received as [Sink["received"][number], Sink["received"][number]];
    for (const each of [secret, next]) new Webhook(each).verify(both.body, both.headers as Record<string, string>);
    expect(both.headers["x-acme"]).toMatch(/^[0-9a-f]{64}, [0-9a-f]{64}$/);
    new Webhook(next).verify(one.body, one.headers as Record<string, string>);
    expect(() => new Webhook(secret).verify(one.body, one.headers as Record<string, string>)).toThrow();
  });

  test("sources of Penstock's own verify what an endpoint gets through a whole rotation, by whichever live secret they know", async () => {
    await addEndpoint("ep_1");
    const next = generateSecret();
    const receivers = { old: [secret], new: [next], both: [secret, next], "both, the new one first": [next, secret] };
    const sources = { buzzbip: buzzbip(), "standard-webhooks": standardWebhooks() };
    const phases: Record<string, Record<string, string[]>> = {};

    async function verifyAll(phase: string): Promise<void> {
      sink.received.length = 0;
      await process([{}]);
      await runAll();
      const [{ headers, body }] = sink.received as [Sink["received"][number]];
      const request = { header: (name: string) => headers[name]?.toString(), body, url: "/" };
      phases[phase] = {};
      for (const [name, source] of Object.entries(sources)) {
        const accepting = Object.entries(receivers).filter(([, secrets]) => {
          const verification = source.verify(request, secrets, Date.now());
          return verification.ok;
        });
        phases[phase][name] = accepting.map(([receiver]) => receiver);
      }
    }

    await verifyAll("before");
    await rotateEndpointSecret(store, "ep_1", { secret: keyring.seal(next, "ep_1"), overlapMs: 3_600_000 }, "test");
    await verifyAll("overlap");
    await store.pool.query("UPDATE penstock.endpoints SET previous_until = now()");
    await verifyAll("after");
    const [onlyOld, all, onlyNew] = [
      ["old", "both", "both, the new one first"],
      ["old", "new", "both", "both, the new one first"],
      ["new", "both", "both, the new one first"],
    ];
    expect(phases).toEqual({
      before: { buzzbip: onlyOld, "standard-webhooks": onlyOld },
      overlap: { buzzbip: all, "standard-webhooks": all },
      after: { buzzbip: onlyNew, "standard-webhooks": onlyNew },
    });
  });

  test("an event gets no job of an endpoint that was added after it was processed, changed ones get what they want now", async () => {
    await addEndpoint("ep_1", { types: ["contact.created"] });
    await process([{ id: "evt_1" }]);
    await updateEndpoint(store, "ep_1", { ...ENDPOINT_DEFAULTS, url: sink.url, types: ["message.received"] }, "test");
    await addEndpoint("ep_2");
    await process([{ id: "evt_2" }]);
    expect(await deliveries(store)).toEqual(["evt_2 ep_1 pending", "evt_2 ep_2 pending"]);
    await deleteEndpoint(store, "ep_2", "test");
    await process([{ id: "evt_3" }]);
    expect(await deliveries(store)).not.toContain("evt_3 ep_2 pending");
  });

  test("one whose secret cannot be opened gets nothing, and what waits for it stays", async () => {
    await createEndpoint(
      store,
      { id: "ep_1", secret: "v1.0.x", settings: { ...ENDPOINT_DEFAULTS, url: sink.url } },
      "test",
    );
    await process([{ id: "evt_1" }]);
    await engine.runEndpoint("ep_1", never);
    expect(sink.received).toEqual([]);
    expect(await deliveries(store)).toEqual(["evt_1 ep_1 pending"]);
    // And it is not asked for again at once.
    expect(await findDueEndpoints(store, ["ep_1"])).toEqual([]);
    expect(await endpoint("ep_1")).toMatchObject({
      status: "failing",
      lastError: expect.stringMatching(/^its secret cannot be opened/) as string,
    });
  });
});

describe("what others send", () => {
  const DEEP = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  const nothing = { verify: () => ({ ok: true, secretIndex: 0 }) as const, identify: () => ({ id: "", type: "" }) };
  const parsedTo = (value: unknown) => (): ParsedBody => ({ ok: true, value });
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  const { find } = defineSources({
    buzzbip: buzzbip(),
    billing: hmac({ provider: "billing", header: "x-signature" }),
    github: github(),
    twilio: twilio(),
    cycle: defineSource({ provider: "cycle", parse: parsedTo(cycle), ...nothing }),
    bigint: defineSource({ provider: "bigint", parse: parsedTo({ id: 1n }), ...nothing }),
    undefined: defineSource({ provider: "undefined", parse: parsedTo(undefined), ...nothing }),
    deep: defineSource({ provider: "deep", parse: () => parsedTo(JSON.parse(DEEP))(), ...nothing }),
  });
  const createdAt = "2026-06-01T14:32:00.000Z";
  const received = (source: string, id: string, body: string | Buffer) => ({
    source,
    id,
    type: `${source}.event`,
    createdAt,
    body: Buffer.from(body),
  });
  const envelope = (source: string, id: string, data: string): string =>
    `{"id":"${id}","type":"${source}.event","createdAt":"${createdAt}","data":${data}}`;
  const texts = () => sink.received.map(({ body }) => body.toString());
  beforeEach(() => {
    engine = engineOn(store, [], { outbound, findSource: find });
  });

  test.each<[string, string, string, string?]>([
    ["numbers that a double cannot hold", "billing", '{"a":9007199254740993,"b":1524831183200260097,"c":1e400}'],
    ["numbers however they are written", "billing", '{"price":1.10,"n":1E3,"z":-0.0}'],
    ["a name that is there twice", "billing", '{"a":1,"a":2}'],
    ["blanks, escapes and a newline at the end", "billing", '{ "a" :\t"\\u0041\\/é\\ud800" }\r\n'],
    ["fields of any name", "billing", '{"__proto__":{"x":1},"toJSON":"no"}'],
    ["nesting of 20,000 brackets", "billing", `{"x":${DEEP}}`],
    ["text alone", "billing", '"text"'],
    ["a byte order mark, without it", "billing", '\ufeff{"a":1.0}', '{"a":1.0}'],
    ["GitHub's JSON", "github", '{"id":9007199254740993}'],
    ["GitHub's form", "github", "payload=%7B%22id%22%3A+9007199254740993%7D", '{"id": 9007199254740993}'],
    ["Twilio's JSON", "twilio", '[{"id":9007199254740993}]'],
    ["Twilio's form", "twilio", "MessageSid=SM1&Body=a+%22b%22", '{"MessageSid":"SM1","Body":"a \\"b\\""}'],
  ])("%s: the bytes of the provider are within the envelope", async (_, source, body, data = body) => {
    await addEndpoint("ep_1");
    await process([received(source, "evt_1", body)]);
    await runAll();
    expect(texts()).toEqual([envelope(source, "evt_1", data)]);
    const [{ headers, body: sent }] = sink.received as [Sink["received"][number]];
    const header = (name: string) => headers[name]?.toString();
    expect(standardWebhooks().verify({ header, body: sent, url: "/" }, [secret], Date.now())).toMatchObject({
      ok: true,
    });
  });

  test("an event of BuzzBip's is sent as it stands, whatever its numbers and its depth", async () => {
    await addEndpoint("ep_1");
    const body = (id: string, extra: string): string =>
      `\ufeff{"type":"message.received", "id":"${id}","createdAt":"${createdAt}","data":{"messageId":"m","conversationId":"c","contactId":"k","n":${extra}},"v":1.0}\n`;
    const bodies = [body("evt_1", "9007199254740993"), body("evt_2", DEEP)];
    await process(bodies.map((text, at) => ({ id: `evt_${at + 1}`, body: Buffer.from(text) })));
    await runAll();
    expect(texts().toSorted()).toEqual(bodies.toSorted());
  });

  test.each<[string | null, Record<string, string | null>]>([
    [null, { buzzbip: "x-buzzbip-signature", billing: null, penstock: null }],
    [
      "X-BuzzBip-Signature",
      { buzzbip: "x-buzzbip-signature", billing: "x-buzzbip-signature", penstock: "x-buzzbip-signature" },
    ],
    ["X-Acme", { buzzbip: "x-acme", billing: "x-acme", penstock: "x-acme" }],
  ])(
    "with %j for a header of its own, an endpoint gets by source %j besides Standard Webhooks",
    async (name, expected) => {
      await addEndpoint("ep_1", {
        headerName: name,
        types: ["message.received", "billing.event", "endpoint.disabled"],
      });
      const data = { endpointId: "ep_2", url: "", tenant: null, reason: "", failures: 1, failingSince: null };
      const own = JSON.stringify({ id: "evt_own", type: "endpoint.disabled", createdAt, data });
      await process([
        { id: "evt_buzzbip" },
        received("billing", "evt_billing", "{}"),
        { ...received("penstock", "evt_penstock", own), type: "endpoint.disabled" },
      ]);
      await runAll();
      const found: Record<string, string | null> = {};
      for (const { headers, body } of sink.received) {
        new Webhook(secret).verify(body, headers as Record<string, string>);
        const [header = null, ...others] = Object.keys(headers).filter((one) => one.startsWith("x-"));
        expect(others).toEqual([]);
        if (header !== null) expect(headers[header]).toMatch(/^[0-9a-f]{64}$/);
        const source = ["billing", "endpoint"].find((one) => body.includes(`"type":"${one}.`)) ?? "buzzbip";
        found[source === "endpoint" ? "penstock" : source] = header;
      }
      expect(found).toEqual(expected);
    },
  );

  test.each(["cycle", "bigint", "undefined", "deep"])(
    "what its source reads as %s cannot be sent: it fails for good, and the endpoint is not blamed",
    async (source) => {
      await addEndpoint("ep_1", { disableAfterFailures: 1 });
      const ids = ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6"];
      await process(ids.map((id) => received(source, id, "x")));
      await process([received("billing", "evt_good", "{}")]);
      await runAll();
      expect(texts()).toEqual([envelope("billing", "evt_good", "{}")]);
      expect((await deliveries(store)).toSorted()).toEqual([
        ...ids.map((id) => `${id} ep_1 dead`),
        "evt_good ep_1 succeeded",
      ]);
      expect(await endpoint("ep_1")).toMatchObject({ status: "active", failures: 0, lastError: null });
      const [attempt] = await rows(store, "SELECT error_class, error_message FROM penstock.attempts");
      expect(attempt).toEqual({
        error_class: "UnsendableEventError",
        error_message: expect.stringContaining(`\`parse\` of the source ${source}`) as string,
      });
    },
  );

  test.each([
    ["9007199254740993", ["evt_3"]],
    ["9007199254740992", ["evt_2"]],
    ["9007199254740991", ["evt_1"]],
    ["1.1", ["evt_4"]],
    ["1.10", ["evt_4"]],
    ["1000", ["evt_5"]],
    ["1E3", ["evt_5"]],
    ["5", ["evt_6", "evt_7"]],
    ["1e400", ["evt_8"]],
    ["Infinity", []],
    ["1e401", []],
  ])("a filter for the number %s lets %j through", async (wanted, expected) => {
    await addEndpoint("ep_1", { filter: { "data.n": [wanted] } });
    const numbers = ["9007199254740991", "9007199254740992", "9007199254740993", "1.10", "1E3", '"5"', "5", "1e400"];
    await process(numbers.map((n, at) => received("billing", `evt_${at + 1}`, `{"n":0,"n":${n}}`)));
    await runAll();
    expect(idsOf(sink).toSorted()).toEqual(expected);
  });

  test("a filter finds exact numbers in an event of BuzzBip's and within lists", async () => {
    await addEndpoint("ep_1", { filter: { "data.ids.1.n": ["9007199254740993"] } });
    await process([
      received("billing", "evt_1", '{"ids":[{"n":9007199254740993},{"n":9007199254740992}]}'),
      received("billing", "evt_2", '{"ids":[{"n":9007199254740992},{"n":9007199254740993}]}'),
      {
        id: "evt_3",
        body: Buffer.from(
          `{"id":"evt_3","type":"message.received","createdAt":"${createdAt}","data":{"messageId":"m","conversationId":"c","contactId":"k","ids":[1,{"n":9007199254740993}]}}`,
        ),
      },
    ]);
    await runAll();
    expect(idsOf(sink).toSorted()).toEqual(["evt_2", "evt_3"]);
  });

  test("numbers that differ beyond 2^53 are lanes of their own", async () => {
    await addEndpoint("ep_1", { lane: "data.n" });
    const numbers = ["9007199254740992", "9007199254740993", "1.10", "1.1"];
    await process(numbers.map((n, at) => received("billing", `evt_${at}`, `{"n":${n}}`)));
    const lanes = await rows<{ lane: string }>(store, "SELECT lane FROM penstock.deliveries ORDER BY seq");
    expect(lanes.map(({ lane }) => lane)).toEqual(["9007199254740992", "9007199254740993", "1.1", "1.1"]);
  });
});

describe("failures", () => {
  test("six tries, with one webhook-id and growing waits, then it is dead; each is on record with what was answered", async () => {
    await addEndpoint("ep_1");
    sink.answer = answer(500);
    await process([{ id: "evt_1" }]);
    for (let attempt = 1; attempt <= 6; attempt++) {
      await engine.runEndpoint("ep_1", never);
      expect(sink.received).toHaveLength(attempt);
      await makeDue();
      await unpark();
    }
    expect(await deliveries(store)).toEqual(["evt_1 ep_1 dead"]);
    expect(new Set(sink.received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    const attempts = await rows(store, "SELECT attempt, error_class, error_message FROM penstock.attempts ORDER BY 1");
    expect(attempts).toEqual(
      [1, 2, 3, 4, 5, 6].map((attempt) => ({ attempt, error_class: "HTTP 500", error_message: "status 500" })),
    );
  });

  test.each([
    ["a redirect", answer(302, { location: "http://127.0.0.1/elsewhere" }), "HTTP 302"],
    ["a reset", ((response) => response.socket?.resetAndDestroy()) as Sink["answer"], "ECONNRESET"],
    ["silence", (() => undefined) as Sink["answer"], "TIMEOUT"],
  ])("%s is a failure", async (_, answering, errorClass) => {
    await addEndpoint("ep_1", { scheduleMs: [5_000] });
    sink.answer = answering;
    await process([{ id: "evt_1" }]);
    await engine.runEndpoint("ep_1", never);
    expect(await deliveries(store)).toEqual(["evt_1 ep_1 retrying"]);
    const [row] = await rows(
      store,
      "SELECT error_class, next_attempt_at > now() + interval '3 s' AS waits FROM penstock.attempts JOIN penstock.deliveries USING (seq)",
    );
    expect(row).toEqual({ error_class: errorClass, waits: true });
  });

  test("one that is down is tried by ever fewer, and what waits for it keeps its tries; back again, it gets all", async () => {
    await addEndpoint("ep_1", { concurrency: 4 });
    sink.answer = answer(503);
    await process(Array.from({ length: 50 }, (_, n) => ({ id: `evt_${n}` })));
    await runAll();
    // At most what was under way when the fifth failure was known.
    const tried = sink.received.length;
    expect(tried).toBeGreaterThanOrEqual(5);
    expect(tried).toBeLessThanOrEqual(12);
    const failing = { status: "failing", lastError: "HTTP 503: status 503", lastErrorAt: expect.any(String) as string };
    expect(await endpoint("ep_1")).toMatchObject(failing);
    expect(await findDueEndpoints(store, ["ep_1"])).toEqual([]);
    await unpark();
    await runAll();
    expect(sink.received).toHaveLength(tried + 1);
    sink.answer = accept;
    await unpark();
    await makeDue();
    await runAll();
    expect(new Set(idsOf(sink)).size).toBe(50);
    expect(await endpoint("ep_1")).toMatchObject({ status: "active", failures: 0, nextTryAt: null });
    const [row] = await rows(store, "SELECT count(*)::int AS n FROM penstock.deliveries WHERE state = 'succeeded'");
    expect(row).toEqual({ n: 50 });
  });

  test("Retry-After of 429 leaves the endpoint alone for so long, but not longer than an hour", async () => {
    await addEndpoint("ep_1");
    for (const [asked, seconds] of [
      ["120", 120],
      ["86400", 3_600],
    ] as const) {
      sink.answer = answer(429, { "retry-after": asked });
      await process([{}]);
      await engine.runEndpoint("ep_1", never);
      const [row] = await rows<{ s: number }>(
        store,
        "SELECT extract(epoch FROM parked_until - now())::int AS s FROM penstock.endpoints",
      );
      expect(Math.abs((row?.s ?? 0) - seconds)).toBeLessThan(30);
      await unpark();
    }
  });

  test.each(["0", "Wed, 21 Oct 2015 07:28:00 GMT"])(
    "Retry-After: %s asks for nothing: the next try waits as ever",
    async (asked) => {
      engine = engineOn(store, [], { outbound, random: () => 0.5 });
      await addEndpoint("ep_1");
      sink.answer = answer(503, { "retry-after": asked });
      await process([{}]);
      await runAll();
      expect(sink.received).toHaveLength(1);
      expect(await endpoint("ep_1")).toMatchObject({ nextTryAt: null });
    },
  );

  test("410 disables it at once: handlers hear of it, what comes then is skipped, and enabled again it goes on", async () => {
    const watch = effectHandler({ name: "watch", on: ["endpoint.disabled"] as never });
    engine = engineOn(store, [watch], { outbound });
    await register(store, [watch]);
    await addEndpoint("ep_1", { types: ["message.received"] });
    await addEndpoint("ep_ops", { types: ["endpoint.disabled"] });
    await addEndpoint("ep_customer", { types: ["*"] });
    sink.answer = answer(410);
    await process([{ id: "evt_1" }]);
    await engine.runEndpoint("ep_1", never);
    expect(await endpoint("ep_1")).toMatchObject({ status: "disabled", disabledReason: "it answered 410 Gone" });
    await engine.processBatch({ batches: await findUnqueuedBatches(store, { olderThanMs: 0 }), startedBefore: 0 });
    expect(await effects(store)).toEqual([expect.stringMatching(/^watch evt_/)]);
    // Not of one that wants all: it tells of other people's endpoints.
    const own = (await deliveries(store)).filter((line) => /^evt_[0-9a-f]{32} ep_/.test(line));
    expect(own).toEqual([expect.stringMatching(/ ep_ops pending$/)]);
    const told = (
      await rows<{ body: Buffer }>(
        store,
        "SELECT penstock.body_of(day, seq, body_at, body_bytes) AS body FROM penstock.events WHERE source = 'penstock'",
      )
    )[0]!;
    expect(JSON.parse(told.body.toString())).toMatchObject({
      type: "endpoint.disabled",
      data: { endpointId: "ep_1", url: sink.url, reason: "it answered 410 Gone" },
    });
    await process([{ id: "evt_2" }]);
    expect(await deliveries(store)).toContain("evt_2 ep_1 skipped");
    expect(await resumeEndpoint(store, "ep_1", "test")).toBe(true);
    sink.answer = accept;
    await process([{ id: "evt_3" }]);
    await runAll();
    expect(await deliveries(store)).toEqual(
      expect.arrayContaining(["evt_1 ep_1 dead", "evt_2 ep_1 skipped", "evt_3 ep_1 succeeded"]),
    );
  });

  test("what was under way beside it undoes neither a park nor a 410", async () => {
    await addEndpoint("ep_1", { concurrency: 10 });
    const firstThen = (first: Sink["answer"]) => {
      let answered = 0;
      sink.answer = (response, ...rest) => {
        if (++answered === 1) first(response, ...rest);
        else setTimeout(() => accept(response, ...rest), 100);
      };
    };
    firstThen(answer(429, { "retry-after": "600" }));
    await process(Array.from({ length: 100 }, () => ({})));
    await engine.runEndpoint("ep_1", never);
    expect(sink.received.length).toBeLessThan(50);
    expect(await endpoint("ep_1")).toMatchObject({ nextTryAt: expect.any(String) as string });
    await unpark();
    sink.answer = accept;
    await runAll();
    await makeDue();
    await runAll();
    firstThen(answer(410));
    await process(Array.from({ length: 100 }, () => ({})));
    const before = sink.received.length;
    await engine.runEndpoint("ep_1", never);
    expect(sink.received.length - before).toBeLessThan(50);
    expect(await endpoint("ep_1")).toMatchObject({ status: "disabled" });
  });

  test.each([
    ["so often", { disableAfterFailures: 3 }, 3],
    ["for so long, and ten times", { disableAfterMs: 1_000 }, 10],
  ])("one that has failed %s is disabled", async (_, settings, tries) => {
    await addEndpoint("ep_1", settings);
    sink.answer = answer(500);
    await process(Array.from({ length: 20 }, () => ({})));
    for (let tried = 0; tried < 12 && (await endpoint("ep_1")).status !== "disabled"; tried++) {
      await store.pool.query("UPDATE penstock.endpoints SET failing_since = failing_since - interval '1 hour'");
      await makeDue();
      await unpark();
      await runAll();
    }
    expect(await endpoint("ep_1")).toMatchObject({ status: "disabled" });
    expect(sink.received.length).toBeGreaterThanOrEqual(tries);
  });
});

describe("limits and order", () => {
  test("of an endpoint no more requests are under way than it may have, and no more begin in a second", async () => {
    await addEndpoint("ep_1", { concurrency: 3 });
    sink.answer = (response) => setTimeout(() => response.end(), 20);
    await process(Array.from({ length: 30 }, () => ({})));
    await runAll();
    expect(sink.seen.most).toBe(3);
    await updateEndpoint(store, "ep_1", { ...ENDPOINT_DEFAULTS, url: sink.url, ratePerSecond: 20 }, "test");
    sink.answer = accept;
    await process(Array.from({ length: 60 }, () => ({})));
    const before = sink.received.length;
    await runAll();
    const times = sink.received.slice(before).map(({ at }) => at);
    // A bucket of twenty at once, then twenty a second.
    expect(times.length).toBe(60);
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(1_700);
  });

  test("while Postgres is slow to take results, no more than some are sent", async () => {
    await addEndpoint("ep_1", { concurrency: 20 });
    await process(Array.from({ length: 200 }, (_, at) => ({ id: `evt_${at}` })));
    let sent = 0;
    let saved = 0;
    let mostUnsaved = 0;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const real = createEngineStore(store, "test-worker");
    const slow: EngineStore = {
      ...real,
      async finishDeliveries(finished) {
        await held;
        const written = await real.finishDeliveries(finished);
        saved += written.length;
        return written;
      },
    };
    const post: Outbound["post"] = (request) => {
      mostUnsaved = Math.max(mostUnsaved, ++sent - saved);
      return outbound.post(request);
    };
    const running = engineOn(store, [], { store: slow, outbound: { ...outbound, post } }).runEndpoint("ep_1", never);
    let before = 0;
    await eventually(() => {
      const isAtRest = sent === before;
      before = sent;
      expect(isAtRest && sent >= 100).toBe(true);
    });
    release();
    await running;
    await runAll();
    expect(mostUnsaved).toBeLessThanOrEqual(120);
    expect(new Set(idsOf(sink)).size).toBe(200);
    expect(sink.received).toHaveLength(200);
  });

  test("a request that takes long holds up nothing: what comes meanwhile is sent, by the settings of then", async () => {
    engine = engineOn(store, [], { outbound: patient });
    await addEndpoint("ep_1");
    const held: (() => void)[] = [];
    sink.answer = (response, received, nth) => {
      if (nth === 1) held.push(() => response.end());
      else accept(response, received, nth);
    };
    await process([{ id: "evt_slow" }]);
    const run = engine.runEndpoint("ep_1", never);
    await eventually(() => expect(held).toHaveLength(1));
    const next = generateSecret();
    await rotateEndpointSecret(store, "ep_1", { secret: keyring.seal(next, "ep_1"), overlapMs: 0 }, "test");
    // For longer than a turn.
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    await process([{ id: "evt_meanwhile" }]);
    await eventually(() => expect(idsOf(sink)).toEqual(["evt_slow", "evt_meanwhile"]), { timeoutMs: 10_000 });
    const { headers, body } = sink.received[1]!;
    new Webhook(next).verify(body, headers as Record<string, string>);
    held[0]!();
    await run;
    expect(await deliveries(store)).toEqual(["evt_meanwhile ep_1 succeeded", "evt_slow ep_1 succeeded"]);
  });

  test.each([[{ ratePerSecond: 50 }], [{ lane: "data.messageId" }]])(
    "a place that is free is used while the others take long: %j",
    async (settings) => {
      engine = engineOn(store, [], { outbound: patient });
      await addEndpoint("ep_1", { concurrency: 8, ...settings });
      const held: (() => void)[] = [];
      sink.answer = (response, received, nth) => {
        if (nth <= 7) held.push(() => response.end());
        else accept(response, received, nth);
      };
      await process(Array.from({ length: 7 }, (_, n) => ({ data: { messageId: `msg_slow${n}` } })));
      const run = engine.runEndpoint("ep_1", never);
      await eventually(() => expect(held).toHaveLength(7));
      await process([{ id: "evt_one" }, { id: "evt_two" }]);
      await eventually(() => expect(idsOf(sink)).toEqual(expect.arrayContaining(["evt_one", "evt_two"])), {
        timeoutMs: 5_000,
      });
      for (const end of held) end();
      await run;
    },
  );

  test("with fewer requests at once, what was claimed for more is handed back untried, and sent once it has its place", async () => {
    engine = engineOn(store, [], { outbound: patient });
    await addEndpoint("ep_1", { concurrency: 10 });
    let hold = true;
    const held: (() => void)[] = [];
    sink.answer = (response) => (hold ? held.push(() => response.end()) : response.end());
    await process(Array.from({ length: 60 }, () => ({})));
    const run = engine.runEndpoint("ep_1", never);
    const running = async () =>
      (
        await rows<{ n: number }>(store, "SELECT count(*)::int AS n FROM penstock.deliveries WHERE state = 'running'")
      )[0]!.n;
    await eventually(async () => expect(await running()).toBeGreaterThan(10));
    await updateEndpoint(store, "ep_1", { ...ENDPOINT_DEFAULTS, url: sink.url, concurrency: 2 }, "test");
    await eventually(async () => expect(await running()).toBe(10), { timeoutMs: 20_000 });
    hold = false;
    for (const end of held) end();
    await run;
    await runAll();
    expect(sink.received).toHaveLength(60);
    const attempts = await rows(store, "SELECT DISTINCT state, attempts, interruptions FROM penstock.deliveries");
    expect(attempts).toEqual([{ state: "succeeded", attempts: 1, interruptions: 0 }]);
  });

  test("one that is to make room ends its turn, and leaves nothing begun behind", async () => {
    await addEndpoint("ep_1", { concurrency: 2 });
    sink.answer = (response) => setTimeout(() => response.end(), 100);
    await process(Array.from({ length: 200 }, () => ({})));
    const startedAt = performance.now();
    await engine.runEndpoint("ep_1", never, () => true);
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    const states = await rows<{ state: string; n: number }>(
      store,
      "SELECT state, count(*)::int AS n FROM penstock.deliveries WHERE attempts = (state = 'succeeded')::int GROUP BY 1 ORDER BY 1",
    );
    expect(states).toEqual([
      { state: "pending", n: 200 - sink.received.length },
      { state: "succeeded", n: sink.received.length },
    ]);
  });

  test("events of a lane arrive in the order of createdAt, one at a time, whatever fails; other lanes do not wait", async () => {
    await addEndpoint("ep_1", { lane: "data.contactId", scheduleMs: [0, 0, 0, 0, 0, 0] });
    const at = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();
    await process([5, 3, 1, 4, 2].map((n) => ({ id: `evt_a${n}`, subject: "cnt_a", createdAt: at(n) })));
    await process([2, 1].map((n) => ({ id: `evt_b${n}`, subject: "cnt_b", createdAt: at(n) })));
    let failures = 0;
    sink.answer = (response, { body }) => {
      const fails = body.toString().includes("evt_a2") && ++failures <= 3;
      response.writeHead(fails ? 500 : 200).end();
    };
    for (let round = 0; round < 8; round++) {
      await unpark();
      await runAll();
    }
    const order = (lane: string): string[] => idsOf(sink).filter((id) => id.startsWith(`evt_${lane}`));
    expect(order("a")).toEqual(["evt_a1", "evt_a2", "evt_a2", "evt_a2", "evt_a2", "evt_a3", "evt_a4", "evt_a5"]);
    expect(order("b")).toEqual(["evt_b1", "evt_b2"]);
  });
});

describe("operators", () => {
  test("what waits in lanes goes out also when the lanes are taken away", async () => {
    await addEndpoint("ep_1", { lane: "data.contactId" });
    await process([{ id: "evt_1" }, { id: "evt_2" }]);
    await updateEndpoint(store, "ep_1", { ...ENDPOINT_DEFAULTS, url: sink.url }, "test");
    await runAll();
    expect(idsOf(sink).toSorted()).toEqual(["evt_1", "evt_2"]);
  });

  test("a pause is heeded, and what fails after its endpoint was deleted waits for nobody", async () => {
    await addEndpoint("ep_1", { concurrency: 1 });
    await process(Array.from({ length: 50 }, (_, n) => ({ id: `evt_${n}` })));
    sink.answer = (response, _, nth) => {
      if (nth > 1) return void response.writeHead(500).end();
      pauseHandler(store, "ep_1", true, "test").then(
        () => response.end(),
        () => undefined,
      );
    };
    await engine.runEndpoint("ep_1", never);
    expect(sink.received.length).toBeLessThan(10);
    await resumeEndpoint(store, "ep_1", "test");
    const before = sink.received.length;
    sink.answer = (response) => {
      deleteEndpoint(store, "ep_1", "test").then(
        () => response.writeHead(500).end(),
        () => undefined,
      );
    };
    await engine.runEndpoint("ep_1", never);
    expect(sink.received.length).toBeGreaterThan(before);
    expect(await deliveries(store)).toContainEqual(expect.stringMatching(/ ep_1 cancelled$/));
    expect(await cancelOrphaned(store)).toBeGreaterThan(10);
    expect((await deliveries(store)).filter((line) => /pending|retrying/.test(line))).toEqual([]);
  });

  test("while it is paused what it would get waits, and then goes out", async () => {
    await addEndpoint("ep_1");
    await pauseHandler(store, "ep_1", true, "test");
    await process([{ id: "evt_1" }]);
    await runAll();
    expect(sink.received).toEqual([]);
    await resumeEndpoint(store, "ep_1", "test");
    await runAll();
    expect(idsOf(sink)).toEqual(["evt_1"]);
  });

  test("a replay reaches an endpoint by its name alone: the same webhook-id again, or a new one; a filter holds for it, too", async () => {
    const handler = effectHandler();
    engine = engineOn(store, [handler], { outbound });
    await register(store, [handler]);
    await process([{ id: "evt_before" }]);
    await addEndpoint("ep_1", { filter: { id: ["evt_1"] } });
    await process([{ id: "evt_1" }]);
    await runAll();
    const replay = async (id: string, more: object): Promise<void> => {
      await createReplay(store, { id, request: {}, ...more }, "test");
      while (await engine.advanceReplay());
      await engine.runDueDeliveries(10);
      await runAll();
    };
    await replay("r1", {});
    expect(sink.received).toHaveLength(1);
    await replay("r2", { handler: "ep_1" });
    await replay("r3", { handler: "ep_1", again: true });
    const ids = sink.received.map(({ headers }) => headers["webhook-id"]);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
    await replay("r4", { handler: "ep_1", among: "missing" });
    expect(sink.received).toHaveLength(3);
    expect(await deliveries(store)).toContain("evt_before ep_1 skipped");
  });
});

test("a stop begins no more, ends what is under way, and hands back what it cannot wait for, uncounted", async () => {
  await addEndpoint("ep_1", { concurrency: 2 });
  const outOfPatience = new AbortController();
  engine = engineOn(store, [], { outbound, signal: outOfPatience.signal });
  await process(Array.from({ length: 5 }, (_, n) => ({ id: `evt_${n}` })));
  const closing = new AbortController();
  const held: (() => void)[] = [];
  sink.answer = (response, _, nth) => {
    if (nth === 1) held.push(() => response.end());
    if (nth === 2) closing.abort();
  };
  const run = engine.runEndpoint("ep_1", closing.signal);
  await new Promise((resolve) => closing.signal.addEventListener("abort", resolve));
  held[0]?.();
  const written = "SELECT FROM penstock.deliveries WHERE state = 'succeeded'";
  await eventually(async () => expect(await rows(store, written)).toHaveLength(1));
  outOfPatience.abort(new Error("stopping"));
  await run;
  const states = await rows(
    store,
    "SELECT state, attempts, count(*)::int AS n FROM penstock.deliveries GROUP BY 1, 2 ORDER BY 1",
  );
  expect(states).toEqual([
    { state: "pending", attempts: 0, n: 4 },
    { state: "succeeded", attempts: 1, n: 1 },
  ]);
});
