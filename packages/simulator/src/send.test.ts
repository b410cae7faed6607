import http from "node:http";
import type { AddressInfo } from "node:net";
import { BUZZBIP_EVENT_TYPES, buzzbipEventSchema, type BuzzBipEvent } from "@penstock/schemas";
import { sampleBody } from "@penstock/schemas/fixtures";
import { buzzbip } from "@penstock/sources";
import { afterEach, describe, expect, test } from "vitest";
import { send } from "./send.ts";

const secret = "whsec_0123456789abcdef";

interface Received {
  readonly at: number;
  readonly ok: boolean;
  readonly body: Buffer;
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly contentType: string | undefined;
  readonly webhookId: string | undefined;
}

interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** Connections that were opened, and requests under way at the most. */
  readonly seen: { connections: number; mostAtOnce: number };
}

type Answering = (response: http.ServerResponse, received: Received, number: number) => void | Promise<void>;

const open: http.Server[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const answerByTheSignature: Answering = (response, { ok }) => {
  response.writeHead(ok ? 200 : 401, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ status: ok ? "accepted" : "refused" }));
};

/** Answers after a while, as a busy receiver would. */
function answerAfter(ms: number): Answering {
  return async (response, entry, number) => {
    await pause(ms);
    await answerByTheSignature(response, entry, number);
  };
}

/** A receiver on loopback that verifies what comes, as ingest would, and answers as it is told. */
async function startReceiver(answer: Answering = answerByTheSignature): Promise<Receiver> {
  const received: Received[] = [];
  const seen = { connections: 0, mostAtOnce: 0 };
  let atOnce = 0;
  const server = http.createServer((request, response) => {
    const at = performance.now();
    seen.mostAtOnce = Math.max(seen.mostAtOnce, ++atOnce);
    response.on("close", () => atOnce--);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const header = (name: string) => request.headers[name]?.toString();
      const { ok } = buzzbip().verify({ header, body, url: "/" }, [secret], Date.now());
      const { method, url } = request;
      const entry = {
        at,
        ok,
        body,
        method,
        url,
        contentType: request.headers["content-type"],
        webhookId: header("webhook-id"),
      };
      void answer(response, entry, received.push(entry));
    });
  });
  server.on("connection", () => seen.connections++);
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/buzzbip`, received, seen };
}

const toEvent = ({ body }: Received) => JSON.parse(body.toString()) as BuzzBipEvent;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("what is sent", () => {
  test("one signed event of the type, as JSON, is posted and reported", async () => {
    const { url, received } = await startReceiver();
    const report = await send({ url, secret, type: "contact.created" });
    expect(received).toMatchObject([
      { ok: true, method: "POST", url: "/webhooks/buzzbip", contentType: "application/json" },
    ]);
    const [event] = received.map(toEvent);
    expect(buzzbipEventSchema.safeParse(event).success).toBe(true);
    expect(event?.type).toBe("contact.created");
    expect(report).toMatchObject({
      sent: 1,
      byStatus: { "200": 1 },
      failed: {},
      eventIds: [event?.id],
      firstBody: '{"status":"accepted"}',
    });
  });

  test("several types take turns, and every event is valid and has an id of its own", async () => {
    const { url, received } = await startReceiver();
    const report = await send({ url, secret, types: BUZZBIP_EVENT_TYPES, count: 80 });
    const events = received.map(toEvent);
    for (const type of BUZZBIP_EVENT_TYPES) expect(events.filter((event) => event.type === type)).toHaveLength(10);
    expect(events.every((event) => buzzbipEventSchema.safeParse(event).success)).toBe(true);
    expect(report.eventIds.toSorted()).toEqual(events.map(({ id }) => id).toSorted());
    expect(new Set(report.eventIds).size).toBe(80);
  });

  test("duplicates are the same bytes again, and their event is acknowledged once", async () => {
    const { url, received } = await startReceiver();
    const report = await send({ url, secret, count: 5, duplicate: 9, shuffle: true });
    const copies = Map.groupBy(received, ({ body }) => body.toString());
    expect([...copies.values()].map((group) => group.length)).toEqual([10, 10, 10, 10, 10]);
    expect(report).toMatchObject({ sent: 50, byStatus: { "200": 50 } });
    expect(report.eventIds).toHaveLength(5);
  });

  test("ten identical events are on their way at the same time", async () => {
    const { url, seen } = await startReceiver(answerAfter(100));
    await send({ url, secret, duplicate: 9 });
    expect(seen.mostAtOnce).toBe(10);
  });

  test("a bad signature is well formed, refused, and acknowledges nothing", async () => {
    const { url, received } = await startReceiver();
    const report = await send({ url, secret, badSignature: 1, count: 3 });
    expect(received.map(({ ok }) => ok)).toEqual([false, false, false]);
    expect(report).toMatchObject({ byStatus: { "401": 3 }, eventIds: [], firstBody: '{"status":"refused"}' });
  });

  test("overrides win over what the simulator varies", async () => {
    const { url, received } = await startReceiver();
    const overrides = {
      id: "evt_mine",
      createdAt: "2020-01-01T00:00:00Z",
      data: { contactId: "cnt_mine", body: "Hi" },
    };
    await send({ url, secret, count: 2, overrides });
    for (const event of received.map(toEvent)) {
      expect(event).toMatchObject({ ...overrides, type: "message.received" });
    }
  });

  test.each([
    ["the documented sample", Buffer.from(sampleBody), ["evt_7f3a9b2c"]],
    ["text that is no JSON", Buffer.from("hello"), []],
    ["bytes that are no text", Buffer.from([0xff, 0x00, 0xfe]), []],
    ["nothing", Buffer.alloc(0), []],
    ["a mebibyte and a byte", Buffer.alloc(1_048_577, " "), []],
  ])("a body that is given is sent as it is, well signed: %s", async (_, body, eventIds) => {
    const { url, received } = await startReceiver();
    const report = await send({ url, secret, body, count: 2 });
    expect(received.map((entry) => [entry.ok, entry.body.equals(body)])).toEqual([
      [true, true],
      [true, true],
    ]);
    expect(report.eventIds).toEqual(eventIds);
  });

  test("connections are used again and are as many as the concurrency at most", async () => {
    const { url, seen } = await startReceiver(answerAfter(5));
    await send({ url, secret, count: 200, concurrency: 4 });
    expect(seen.mostAtOnce).toBe(4);
    expect(seen.connections).toBe(4);
  });
});

describe("retries", () => {
  test("what fails in any way is sent again after waits that double, as the same request, until it is acknowledged", async () => {
    const answers: Answering[] = [
      (response) => void response.writeHead(302, { Location: "/elsewhere" }).end(),
      (response) => void response.socket?.resetAndDestroy(),
      () => {},
      (response) => void response.writeHead(503, { "Retry-After": "1" }).end(),
    ];
    const { url, received } = await startReceiver((response, entry, number) =>
      (answers[number - 1] ?? answerByTheSignature)(response, entry, number),
    );
    const report = await send({ url, secret, retries: 5, retryBaseMs: 40, timeoutMs: 200 });
    expect(report).toMatchObject({
      sent: 5,
      retried: 4,
      deliveries: { acknowledged: 1, failed: 0 },
      byStatus: { "200": 1, "302": 1, "503": 1 },
      failed: { ECONNRESET: 1, TIMEOUT: 1 },
    });
    expect(new Set(received.map(({ webhookId, body }) => `${webhookId} ${body.toString()}`)).size).toBe(1);
    expect(received[0]?.webhookId).toBe(report.eventIds[0]);
    const waits = received.slice(1).map(({ at }, index) => at - received[index]!.at);
    for (const [index, least] of [20, 40, 200 + 80, 1_000].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(least - 2);
    }
  });

  test("end after five, and hold up nothing else", async () => {
    const { url } = await startReceiver((response, entry, number) => {
      if (toEvent(entry).id === "evt_refused") response.writeHead(500).end();
      else return answerByTheSignature(response, entry, number);
    });
    const refused = send({ url, secret, retries: 5, retryBaseMs: 5, concurrency: 1, overrides: { id: "evt_refused" } });
    expect(await refused).toMatchObject({
      sent: 6,
      retried: 5,
      deliveries: { acknowledged: 0, failed: 1 },
      eventIds: [],
    });
    const half = await send({ url, secret, count: 40, retries: 2, retryBaseMs: 5, concurrency: 2, badSignature: 0.5 });
    const { acknowledged, failed } = half.deliveries;
    expect(acknowledged + failed).toBe(40);
    expect(half).toMatchObject({ sent: 40 + 2 * failed, byStatus: { "200": acknowledged, "401": 3 * failed } });
    expect(failed).toBeGreaterThan(5);
  });
});

describe("faults", () => {
  test("a seed decides which events have which, and in which order; ids are new each time", async () => {
    const { url, received } = await startReceiver();
    const faults = {
      types: BUZZBIP_EVENT_TYPES,
      count: 100,
      duplicate: 1,
      shuffle: true,
      badSignature: 0.2,
      late: 0.3,
    };
    const run = async (seed: number): Promise<{ story: string[]; ids: string[] }> => {
      received.length = 0;
      await send({ url, secret, concurrency: 1, seed, ...faults });
      const isLate = ({ createdAt }: BuzzBipEvent) => Date.now() - Date.parse(createdAt) > 60_000;
      const story = received.map((entry) => `${toEvent(entry).type} ${entry.ok} ${isLate(toEvent(entry))}`);
      return { story, ids: received.map((entry) => toEvent(entry).id) };
    };
    const first = await run(7);
    const second = await run(7);
    expect(second.story).toEqual(first.story);
    expect(new Set([...first.ids, ...second.ids]).size).toBe(200);
    expect((await run(8)).story).not.toEqual(first.story);
    const share = (pattern: RegExp) => first.story.filter((line) => pattern.test(line)).length / 200;
    expect(share(/ false \w+$/)).toBeCloseTo(0.2, 0.7);
    expect(share(/ true$/)).toBeCloseTo(0.3, 0.7);
  });

  test("a storm sends at once what was given up too soon, acknowledged or not, and then waits", async () => {
    const { url, received } = await startReceiver(answerAfter(60));
    expect(await send({ url, secret, storm: 1 })).toMatchObject({
      sent: 6,
      retried: 5,
      failed: { TIMEOUT: 5 },
      byStatus: { "200": 1 },
      deliveries: { acknowledged: 1, failed: 0 },
    });
    expect(new Set(received.map(({ body }) => body.toString())).size).toBe(1);
  });

  test("what is laid over an event goes into objects, and wins", async () => {
    const { url, received } = await startReceiver();
    const overlay = { id: "evt_over", type: "unheard.of", data: { body: null, deep: { er: [1] } } };
    const report = await send({ url, secret, overlay, overrides: { id: "evt_below", data: { channel: "email" } } });
    expect(received.map(toEvent)).toMatchObject([{ ...overlay, data: { ...overlay.data, channel: "email" } }]);
    expect(report.eventIds).toEqual(["evt_over"]);
  });
});

describe("the schedule of a rate", () => {
  test("no event is sent before its time, and lateness does not add up", async () => {
    const { url, received } = await startReceiver();
    await send({ url, secret }); // the first request of a process takes longest
    received.length = 0;
    const startedAt = performance.now();
    const report = await send({ url, secret, count: 300, ratePerSecond: 500 });
    const lateness = received.map(({ at }, index) => at - startedAt - index * 2);
    expect(Math.min(...lateness)).toBeGreaterThanOrEqual(0);
    // Timers that add up would be late by half a millisecond and more per event, 150 ms at the end.
    // The least of the last ones: a machine that is busy makes some late, never all.
    expect(Math.min(...lateness.slice(-50))).toBeLessThan(100);
    expect(report.durationMs).toBeGreaterThanOrEqual(299 * 2);
  });

  test("latency counts from the scheduled time, so a slow receiver cannot hide behind the sender's waiting", async () => {
    const { url } = await startReceiver(answerAfter(30));
    const report = await send({ url, secret, count: 10, ratePerSecond: 100, concurrency: 1 });
    // The last is due at 90 ms and gets its turn after nine answers of 30 ms.
    expect(report.latency.max).toBeGreaterThanOrEqual(10 * 30 - 90 - 10);
    expect(report.latency.p50).toBeLessThan(report.latency.max);
    expect(report.latency.p99).toBe(report.latency.max);
  });
});

describe("what goes wrong is counted and not thrown", () => {
  test("nobody listens", async () => {
    const { url } = await startReceiver();
    open.splice(0).forEach((server) => server.close());
    const report = await send({ url, secret, count: 3 });
    expect(report).toMatchObject({
      sent: 3,
      byStatus: {},
      failed: { ECONNREFUSED: 3 },
      eventIds: [],
      latency: { p50: 0, p99: 0, max: 0 },
    });
    expect(report).not.toHaveProperty("firstBody");
  });

  test("connections are reset", async () => {
    const { url } = await startReceiver((response) => void response.socket?.resetAndDestroy());
    expect(await send({ url, secret, count: 3 })).toMatchObject({ sent: 3, failed: { ECONNRESET: 3 } });
  });

  test("an answer breaks off", async () => {
    const { url } = await startReceiver((response) => {
      response.writeHead(200, { "Content-Length": 100 });
      response.write("acc", () => response.destroy());
    });
    expect(await send({ url, secret })).toMatchObject({ byStatus: {}, failed: { ECONNRESET: 1 }, eventIds: [] });
  });

  test.each([
    ["never begins", () => {}],
    ["never ends", (response: http.ServerResponse) => void response.writeHead(200).write("acc")],
  ])("an answer %s", async (_, answer) => {
    const { url } = await startReceiver(answer);
    expect(await send({ url, secret, count: 2, timeoutMs: 50 })).toMatchObject({ sent: 2, failed: { TIMEOUT: 2 } });
  });

  test("some are answered and some are not: the books balance", async () => {
    const { url } = await startReceiver((response, entry, number) => {
      if (number % 3 === 0) response.socket?.destroy();
      else if (number % 3 === 1) response.writeHead(503).end();
      else return answerByTheSignature(response, entry, number);
    });
    const report = await send({ url, secret, count: 30 });
    expect(report).toMatchObject({ sent: 30, byStatus: { "200": 10, "503": 10 }, failed: { ECONNRESET: 10 } });
    expect(report.eventIds).toHaveLength(10);
  });
});

describe("stopping", () => {
  test("gives up what is under way, starts nothing more, and reports what there is", async () => {
    const stop = new AbortController();
    const { url, received } = await startReceiver((response, entry, number) => {
      if (number <= 5) return answerByTheSignature(response, entry, number);
      if (number === 7) stop.abort(); // 6 and 7 are never answered
    });
    const report = await send({ url, secret, count: 100, concurrency: 2, signal: stop.signal });
    expect(report).toMatchObject({ sent: 7, byStatus: { "200": 5 }, failed: { ABORTED: 2 } });
    await pause(20);
    expect(received).toHaveLength(7);
  });

  test("does not wait for the schedule", async () => {
    const { url } = await startReceiver();
    const report = await send({ url, secret, count: 5, ratePerSecond: 0.001, signal: AbortSignal.timeout(50) });
    expect(report.sent).toBe(1);
    expect(report.durationMs).toBeLessThan(5_000);
  });

  test("before the start means that nothing is sent", async () => {
    const { url, received } = await startReceiver();
    expect(await send({ url, secret, signal: AbortSignal.abort() })).toMatchObject({
      sent: 0,
      byStatus: {},
      failed: {},
    });
    expect(received).toEqual([]);
  });
});

test("progress is told after each request, up to the total", async () => {
  const { url } = await startReceiver();
  const progress: [number, number][] = [];
  await send({ url, secret, count: 2, duplicate: 1, onProgress: (done, total) => progress.push([done, total]) });
  expect(progress).toEqual([
    [1, 4],
    [2, 4],
    [3, 4],
    [4, 4],
  ]);
});

test("an onProgress that throws stops the sending and is the caller's to see", async () => {
  const { url, received } = await startReceiver();
  const onProgress = () => {
    throw new Error("from the caller");
  };
  await expect(send({ url, secret, count: 1_000, concurrency: 2, onProgress })).rejects.toThrow("from the caller");
  await pause(20);
  expect(received.length).toBeLessThan(10);
});

test.each([
  { url: "not a url" },
  { url: "ftp://127.0.0.1/" },
  { count: 0 },
  { count: 1.5 },
  { count: 10_000_000, duplicate: 1 },
  { duplicate: -1 },
  { concurrency: 0 },
  { ratePerSecond: 0 },
  { ratePerSecond: Number.NaN },
  { timeoutMs: 0 },
  { types: [] },
  { retries: 6 },
  { storm: 1.1 },
  { seed: -1 },
])("options that cannot be carried out are refused before anything is sent: %j", async (wrong) => {
  const { url, received } = await startReceiver();
  await expect(send({ url, secret, ...wrong })).rejects.toThrow(/URL|must/);
  expect(received).toEqual([]);
});
