import { makeEvent } from "@penstock/schemas/fixtures";
import { eventually, startRedis } from "@penstock/testing";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { createPenstock } from "../penstock.ts";
import type { OtlpSink, ReceivedSpan } from "./otlp-sink.ts";
import { newTraceparent, startSystem, type System } from "./system.ts";

/** From a handler up to whoever sent the event. */
const WHOLE_WAY = ["handle plain", "process event", "accept event", "POST /webhooks/:source", "(the sender)"];

const idOf = ({ traceId, spanId }: ReceivedSpan): object => ({ traceId, spanId });

/** The one span of a trace with this name. */
async function only(sink: OtlpSink, traceId: string, name: string): Promise<ReceivedSpan> {
  const [found, ...more] = await sink.inTrace(traceId, name);
  expect(more).toEqual([]);
  return found!;
}

/** The names from a span up to the root of its trace, or to where it leaves what was received. */
async function pathUp(sink: OtlpSink, span: ReceivedSpan): Promise<string[]> {
  if (span.parentSpanId === undefined) return [span.name];
  const parent = sink.spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [span.name, ...(parent ? await pathUp(sink, parent) : ["(the sender)"])];
}

/** The SQL right below a span. */
function sqlBelow(sink: OtlpSink, span: ReceivedSpan): string[] {
  return sink
    .childrenOf(span)
    .filter(({ scope }) => scope === "@opentelemetry/instrumentation-pg")
    .map(({ attributes }) => String(attributes["db.query.text"] ?? attributes["db.statement"]));
}

async function untilProcessed({ store }: System, count: number): Promise<void> {
  await eventually(async () => {
    const { rows } = await store.pool.query("SELECT FROM penstock.deliveries WHERE state = 'succeeded'");
    expect(rows).toHaveLength(count);
  });
}

test.each(["redis", "postgres"])("an event is one trace from its sender to its SQL (queue on %s)", async (queue) => {
  const system = await startSystem(queue === "postgres" ? { QUEUE_URL: "" } : {});
  const { sink } = system;
  const worker = await system.startWorker();
  const sender = newTraceparent();
  const event = makeEvent("message.received", { data: { body: "a body that nobody may see" } });
  await system.send(event, sender.traceparent);
  await untilProcessed(system, 1);
  await Promise.all([system.ingest.stop(), worker.stop()]);

  const request = await only(sink, sender.traceId, "POST /webhooks/:source");
  expect(request).toMatchObject({
    service: "penstock-ingest",
    kind: "server",
    parentSpanId: sender.spanId,
    attributes: {
      "http.request.method": "POST",
      "http.route": "/webhooks/:source",
      "url.path": "/webhooks/buzzbip",
      "http.response.status_code": 200,
    },
  });
  const handled = await only(sink, sender.traceId, "handle plain");
  expect(await pathUp(sink, handled)).toEqual(WHOLE_WAY);
  expect(handled).toMatchObject({ service: "penstock-worker", attributes: { "penstock.attempt": 1 } });
  expect(sqlBelow(sink, handled)).toEqual([expect.stringContaining('insert into "effects"')]);

  // The batch has a trace of its own, and the two know of each other.
  const accepted = await only(sink, sender.traceId, "accept event");
  const part = await only(sink, sender.traceId, "process event");
  const about = { "penstock.source": "buzzbip", "penstock.event.id": event.id, "penstock.event.type": event.type };
  expect(accepted.attributes).toEqual(about);
  expect(part).toMatchObject({ kind: "consumer", attributes: { ...about, "messaging.operation.type": "process" } });
  const acceptBatch = await sink.bySpanId(accepted.links[0]!.spanId);
  const processBatch = await sink.bySpanId(part.links[0]!.spanId);
  expect([acceptBatch.links, processBatch.links]).toEqual([
    [expect.objectContaining(idOf(accepted))],
    [expect.objectContaining(idOf(part))],
  ]);
  expect(acceptBatch.traceId).not.toBe(sender.traceId);
  expect(acceptBatch.attributes["penstock.batch"]).toBe(1);
  expect(processBatch.attributes["penstock.batch"]).toBe(1);
  expect(await pathUp(sink, processBatch)).toEqual([
    "process batch",
    "process events",
    "add events",
    "enqueue batch",
    "accept batch",
  ]);
  const [added, processed] = ["add events", "process events"].map((name) =>
    sink.spans.find((span) => span.name === name && span.traceId === acceptBatch.traceId),
  );
  expect([added, processed]).toMatchObject([
    { kind: "producer", attributes: { "messaging.system": "bullmq", "messaging.operation.type": "send" } },
    { kind: "consumer", attributes: { "messaging.destination.name": "events", "messaging.operation.type": "process" } },
  ]);
  expect(sqlBelow(sink, acceptBatch)).toEqual([expect.stringContaining("INSERT INTO penstock.batches")]);
  const batchSql = sqlBelow(sink, processBatch).join("\n");
  for (const part of [
    "BEGIN",
    "INSERT INTO penstock.event_keys",
    "DELETE FROM penstock.pending",
    "INSERT INTO penstock.deliveries",
    "COMMIT",
  ]) {
    expect(batchSql).toContain(part);
  }

  expect(sink.text()).not.toContain("a body that nobody may see");

  // What is stored and logged names the same trace.
  const penstock = await createPenstock({ DATABASE_URL: system.databaseUrl });
  const shown = await penstock.run(["events", "show", event.id]);
  await penstock.remove();
  expect(shown.stdout.join("\n")).toMatch(new RegExp(`^trace +${sender.traceId}$`, "m"));
  const logged = worker.process.stdout.map((line) => JSON.parse(line) as Record<string, string>);
  expect(logged.find(({ msg }) => msg === "handling")).toMatchObject({
    eventId: event.id,
    traceId: sender.traceId,
    spanId: handled.spanId,
  });
  expect(logged.find(({ msg }) => msg === "batches processed")).toMatchObject({ traceId: processBatch.traceId });
});

test("each try of an effect handler stands in its event's trace, linked to the one before", async () => {
  const system = await startSystem();
  const { sink } = system;
  const worker = await system.startWorker();
  const sender = newTraceparent();
  await system.send(makeEvent("message.failed"), sender.traceparent);
  await untilProcessed(system, 1);
  await Promise.all([system.ingest.stop(), worker.stop()]);
  const tries = await sink.inTrace(sender.traceId, "handle outward");
  expect(tries.map(({ attributes }) => attributes["penstock.attempt"])).toEqual([1, 2]);
  for (const span of tries) expect(await pathUp(sink, span)).toEqual(["handle outward", ...WHOLE_WAY.slice(1)]);
  const [first, second] = await Promise.all(tries.map(({ parentSpanId }) => sink.bySpanId(parentSpanId!)));
  expect(second!.links).toEqual([expect.objectContaining(idOf(first!))]);
  const logged = worker.process.stdout.map((line) => JSON.parse(line) as Record<string, string>);
  expect(logged.filter(({ msg }) => msg === "calling")).toMatchObject([
    { handler: "outward", traceId: sender.traceId, spanId: tries[0]!.spanId },
  ]);
}, 180_000);

test("a batch of 50 has its SQL in a trace of its own, linked to and from each event's", async () => {
  const system = await startSystem({ WORKER_CONCURRENCY: "1" });
  const { sink } = system;
  const senders = Array.from({ length: 50 }, newTraceparent);
  await Promise.all(senders.map(({ traceparent }) => system.send(makeEvent("message.sent"), traceparent)));
  const worker = await system.startWorker();
  await untilProcessed(system, 50);
  await Promise.all([system.ingest.stop(), worker.stop()]);

  const parts = await Promise.all(senders.map(({ traceId }) => only(sink, traceId, "process event")));
  const handled = await Promise.all(senders.map(({ traceId }) => only(sink, traceId, "handle batched")));
  const [batchId] = new Set(parts.map(({ links }) => links[0]!.spanId));
  const batch = await sink.bySpanId(batchId!);
  const [call] = sink.childrenOf(batch).filter(({ name }) => name === "handle batched");
  expect(sqlBelow(sink, call!)).toEqual([expect.stringContaining('insert into "effects"')]);
  expect(call!.attributes).toMatchObject({ "messaging.batch.message_count": 50 });
  expect(batch.attributes).toMatchObject({ "messaging.batch.message_count": 50 });
  expect(batch.links).toHaveLength(50);
  for (const [at, part] of parts.entries()) {
    expect(part.links).toEqual([expect.objectContaining(idOf(batch))]);
    expect(batch.links).toContainEqual(expect.objectContaining(idOf(part)));
    expect(handled[at]).toMatchObject({ parentSpanId: part.spanId, links: [idOf(call!)] });
    expect(sink.childrenOf(handled[at]!)).toEqual([]);
  }
});

test("what the queue does by itself belongs to no trace: polls, locks, stalled checks, reconnects", async () => {
  const redis = await startRedis();
  const system = await startSystem({ QUEUE_URL: redis.url, WORKER_LOCK_MS: "1000" });
  const { sink } = system;
  const worker = await system.startWorker();
  const [first, second] = [newTraceparent(), newTraceparent()];
  await system.send(makeEvent("message.received"), first.traceparent);
  await untilProcessed(system, 1);
  await redis.stop();
  await redis.start();
  // Long enough for polls and stalled checks, which come twice a second here.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  await system.send(makeEvent("message.received"), second.traceparent);
  await untilProcessed(system, 2);
  await Promise.all([system.ingest.stop(), worker.stop()]);

  for (const { traceId } of [first, second]) {
    const names = sink.spans.filter((span) => span.traceId === traceId).map(({ name }) => name);
    expect(names.filter((name) => !name.startsWith("pg.query")).toSorted()).toEqual([
      "POST /webhooks/:source",
      "accept event",
      "handle plain",
      "process event",
    ]);
  }
  const roots = sink.spans.filter(({ parentSpanId }) => parentSpanId === undefined).map(({ name }) => name);
  expect([...new Set(roots)].filter((name) => name !== "sweep")).toEqual(["accept batch"]);
  const redisSpans = sink.spans.filter(({ scope }) => scope === "@opentelemetry/instrumentation-ioredis");
  expect(redisSpans.map(({ name }) => name)).not.toContain("connect");
  const above = await Promise.all(
    redisSpans.map(async ({ parentSpanId }) => (await sink.bySpanId(parentSpanId!)).name),
  );
  expect([...new Set(above)].toSorted()).toEqual(["add events", "process events"]);
});

test("what its sender does not sample leaves no span, and is still told by its trace id", async () => {
  const system = await startSystem();
  const worker = await system.startWorker();
  const { traceId, traceparent } = newTraceparent();
  await system.send(makeEvent("message.received"), traceparent.replace(/01$/, "00"));
  await untilProcessed(system, 1);
  await Promise.all([system.ingest.stop(), worker.stop()]);
  expect(system.sink.spans.filter((span) => span.traceId === traceId)).toEqual([]);
  const { rows } = await system.store.pool.query<{ traceparent: string }>("SELECT traceparent FROM penstock.events");
  expect(rows).toEqual([{ traceparent: expect.stringMatching(new RegExp(`^00-${traceId}-.*-00$`)) as string }]);
  const logged = worker.process.stdout.map((line) => JSON.parse(line) as Record<string, string>);
  expect(logged.find(({ msg }) => msg === "handling")).toMatchObject({ traceId });
});

test("a request that is not sampled makes no span, and neither does its event in the worker", async () => {
  const system = await startSystem({ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" });
  // Another sampler, which would decide otherwise: the event's trace is decided about once, where the event comes in.
  const worker = await system.startWorker({ OTEL_TRACES_SAMPLER: "parentbased_always_on" });
  for (let at = 0; at < 3; at++) await system.send(makeEvent("message.received"));
  await system.send(makeEvent("message.sent"));
  await system.send(makeEvent("message.failed"));
  await system.send(makeEvent("contact.created"));
  await untilProcessed(system, 6);
  await Promise.all([system.ingest.stop(), worker.stop()]);
  const about = system.sink.spans.filter(({ name }) => !["sweep", "feed deliveries"].includes(name));
  expect(about.filter(({ service }) => service === "penstock-ingest")).toEqual([]);
  expect(about.map(({ name }) => name).filter((name) => /handle|process event$|process batch/.test(name))).toEqual([]);
  const { rows } = await system.store.pool.query("SELECT DISTINCT traceparent FROM penstock.events");
  expect(rows).toEqual([{ traceparent: "00" }]);
});

test("an event that is sampled leaves the spans of its own way and its batch's, and none of events beside it", async () => {
  const system = await startSystem({ OTEL_TRACES_SAMPLER: "parentbased_always_off", WORKER_CONCURRENCY: "1" });
  const { sink } = system;
  const sender = newTraceparent();
  await system.send(makeEvent("message.received"), sender.traceparent);
  for (let at = 0; at < 5; at++) await system.send(makeEvent("message.received"));
  const worker = await system.startWorker();
  await untilProcessed(system, 6);
  await Promise.all([system.ingest.stop(), worker.stop()]);

  const handled = await only(sink, sender.traceId, "handle plain");
  expect(await pathUp(sink, handled)).toEqual(WHOLE_WAY);
  expect(sqlBelow(sink, handled)).toEqual([expect.stringContaining('insert into "effects"')]);
  const part = await only(sink, sender.traceId, "process event");
  const batch = await sink.bySpanId(part.links[0]!.spanId);
  expect((await pathUp(sink, batch)).at(-1)).toBe("accept batch");
  expect(batch.links).toEqual([expect.objectContaining(idOf(part))]);
  // What was handled for the others beside it stands neither in its trace nor in the batch's.
  expect(sink.spans.filter(({ name }) => name === "handle plain")).toEqual([handled]);
  expect(sqlBelow(sink, batch).join("\n")).not.toContain('insert into "effects"');
  expect(new Set(sink.spans.map(({ traceId }) => traceId))).toEqual(new Set([sender.traceId, batch.traceId]));
});

test("an event whose sender begins no trace begins one", async () => {
  const system = await startSystem();
  const { sink } = system;
  const worker = await system.startWorker();
  await system.send(makeEvent("message.received"));
  await untilProcessed(system, 1);
  await Promise.all([system.ingest.stop(), worker.stop()]);
  const request = sink.spans.find(({ name }) => name === "POST /webhooks/:source");
  expect(request?.parentSpanId).toBeUndefined();
  const handled = await only(sink, request!.traceId, "handle plain");
  expect((await pathUp(sink, handled)).at(-1)).toBe("POST /webhooks/:source");
});

test("a duplicate's trace ends with its acknowledgement", async () => {
  const system = await startSystem();
  const { sink } = system;
  const worker = await system.startWorker();
  const event = makeEvent("message.received");
  const [first, again] = [newTraceparent(), newTraceparent()];
  await system.send(event, first.traceparent);
  await system.send(event, again.traceparent);
  await untilProcessed(system, 1);
  await eventually(async () => {
    expect((await system.store.pool.query("SELECT FROM penstock.pending")).rowCount).toBe(0);
  });
  await Promise.all([system.ingest.stop(), worker.stop()]);

  const accepted = await only(sink, again.traceId, "accept event");
  expect(accepted.attributes).toMatchObject({ "penstock.event.id": event.id });
  expect((await sink.bySpanId(accepted.links[0]!.spanId)).name).toBe("accept batch");
  expect(sink.spans.filter(({ traceId }) => traceId === again.traceId).map(({ name }) => name)).toEqual([
    "accept event",
    "POST /webhooks/:source",
  ]);
  expect((await only(sink, first.traceId, "handle plain")).failed).toBe(false);
});

test("retries stand side by side in the event's trace, each linked to the one before, also where they share a transaction", async () => {
  const system = await startSystem();
  const { sink } = system;
  const senders = [newTraceparent(), newTraceparent()];
  for (const { traceparent } of senders) {
    await system.send(makeEvent("contact.created", { data: { name: "a name that nobody may see" } }), traceparent);
  }
  // What has come before a worker does is one batch, and is tried again together.
  const worker = await system.startWorker();
  await untilProcessed(system, 2);
  await Promise.all([system.ingest.stop(), worker.stop()]);

  for (const { traceId } of senders) {
    const accepted = await only(sink, traceId, "accept event");
    const attempts = await sink.inTrace(traceId, "process event", 3);
    expect(attempts.map(({ failed }) => failed)).toEqual([true, true, false]);
    expect(attempts.map(({ parentSpanId }) => parentSpanId)).toEqual(Array(3).fill(accepted.spanId));
    const calls = attempts.map((attempt) => sink.childrenOf(attempt).filter(({ name }) => name === "handle stubborn"));
    // Where several share a transaction, the first that fails has all tried again by themselves.
    expect(calls.map((of) => of.at(-1))).toMatchObject([
      { failed: true, attributes: { "penstock.handler": "stubborn", "penstock.attempt": 1 } },
      { failed: true, attributes: { "penstock.attempt": 2 } },
      { failed: false, attributes: { "penstock.attempt": 3 } },
    ]);
    expect((await sink.bySpanId(attempts[0]!.links[0]!.spanId)).name).toBe("process batch");
    for (const at of [1, 2])
      expect(attempts[at]!.links).toContainEqual(expect.objectContaining(idOf(attempts[at - 1]!)));
  }
  // The errors quote the body, one in the words of Postgres.
  expect(sink.text()).not.toContain("a name that nobody may see");
});

test("after a queue was lost, the sweep begins a new trace for the batch and the event goes on in its own", async () => {
  const system = await startSystem();
  const { sink } = system;
  const { traceId, traceparent } = newTraceparent();
  await system.send(makeEvent("message.received"), traceparent);
  const redis = new Redis(system.redisUrl);
  await eventually(async () => expect(await redis.llen("bull:events:wait")).toBe(1));
  await redis.flushdb();
  await redis.quit();
  const worker = await system.startWorker();
  await untilProcessed(system, 1);
  await Promise.all([system.ingest.stop(), worker.stop()]);

  const handled = await only(sink, traceId, "handle plain");
  expect(await pathUp(sink, handled)).toEqual(WHOLE_WAY);
  const part = await only(sink, traceId, "process event");
  const batch = await sink.bySpanId(part.links[0]!.spanId);
  expect(await pathUp(sink, batch)).toEqual([
    "process batch",
    "process events",
    expect.stringMatching(/^add/),
    "sweep",
  ]);
  expect(batch.links).toEqual([expect.objectContaining(idOf(part))]);
});
