// The runs of the sending side: deliveries to a sink on this machine, which counts what comes.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { generateMasterKey, generateSecret, parseMasterKeys } from "@penstock/dispatch";
import { type EventQueue, openQueue, QUEUE_SCHEMA } from "@penstock/queue";
import { ENDPOINT_DEFAULTS, type EndpointSettings } from "@penstock/schemas";
import { createEndpoint, createQueuePool, commitBatch, createStore, type Store } from "@penstock/store";
import { imbalances } from "./books.ts";
import { eventBody, type EventSeries } from "./events.ts";
import type { SinkReport } from "./peers/sink.ts";
import { rssMiB } from "./proc.ts";
import { CONNECTIONS, type Measures, memoryOf, type RunOptions, startClock } from "./run.ts";
import type { Stage } from "./stage.ts";
import { describeTimes } from "./statistics.ts";
import type { Variant } from "./variants.ts";

/** Deliveries that are due are there before the worker goes on; the first fifth warms up. */
export async function runDeliveries(stage: Stage, variant: Variant, options: RunOptions): Promise<Measures> {
  const events = Math.ceil(variant.perSecond * options.seconds * 1.25);
  const sink = await startSink(stage);
  const series = seriesOf(options);
  const url = `http://127.0.0.1:${sink.port}/hook`;
  const clock = startClock(stage);
  if (variant.work === undefined) {
    const args = [url, String(events), String(CONNECTIONS), JSON.stringify(series)];
    await stage.start({ role: "sender", file: "peers/undici.ts", args, env: {} });
  } else {
    const key = generateMasterKey();
    await withIntake(stage, async ({ store }) => {
      await addEndpoint(store, key, "ep_bench", { url, concurrency: CONNECTIONS });
      await addDue(stage, series, events);
    });
    await stage.start(variant.work(stage, { ...outboundEnv(key), BENCH_HANDLERS: "none" }));
    clock.reset();
  }
  const report = await received(sink, events);
  const used = clock.read(events);
  const memory = memoryOf(stage);
  const times = report.times ?? [];
  const warm = Math.floor(times.length / 5);
  const seconds = ((times.at(-1) ?? 0) - (times[warm] ?? 0)) / 1_000;
  const succeeded = variant.work === undefined ? null : await settled(stage, events);
  const books = {
    ...sent(events),
    stored: null,
    ledger: succeeded,
    effects: report.different,
    handlers: 1,
  };
  return {
    perSecond: (times.length - 1 - warm) / seconds,
    events,
    seconds,
    cpuUsPerEvent: used,
    rssMiB: memory,
    books,
    problems: imbalances(books),
  };
}

/** A hundred events for each of a thousand endpoints; the worker's memory is looked at all the while. */
export async function runFanOut(stage: Stage, variant: Variant, options: RunOptions): Promise<Measures> {
  const [endpoints, events] = [1_000, 100];
  const sink = await startSink(stage);
  const key = generateMasterKey();
  if (variant.work === undefined) throw new Error(`${variant.name} delivers nothing`);
  const worker = await stage.start(variant.work(stage, { ...outboundEnv(key), BENCH_HANDLERS: "none" }));
  return withIntake(stage, async (intake) => {
    const url = `http://127.0.0.1:${sink.port}/hook`;
    for (let n = 0; n < endpoints; n++)
      await addEndpoint(intake.store, key, `ep_${String(n).padStart(4, "0")}`, { url });
    const before = rssMiB(worker.pid);
    let most = before;
    const clock = startClock(stage);
    const startedAt = Date.now();
    await commit(
      intake,
      seriesOf(options),
      Array.from({ length: events }, (_, n) => n),
    );
    const report = await received(sink, endpoints * events, () => {
      most = Math.max(most, rssMiB(worker.pid));
    });
    const seconds = (Date.now() - startedAt) / 1_000;
    const used = clock.read(endpoints * events);
    const succeeded = await settled(stage, endpoints * events);
    const books = {
      ...sent(endpoints * events),
      stored: null,
      ledger: succeeded,
      effects: report.different,
      handlers: 1,
    };
    return {
      perSecond: (endpoints * events) / seconds,
      events: endpoints * events,
      seconds,
      cpuUsPerEvent: used,
      rssMiB: { "worker before": before, worker: most },
      books,
      problems: imbalances(books),
    };
  });
}

/** From the answer to a commit to the first byte at the receiver, at a light load. */
export async function runAddedLatency(stage: Stage, variant: Variant, options: RunOptions): Promise<Measures> {
  const { perSecond = 20, seconds } = options;
  const sink = await startSink(stage);
  const key = generateMasterKey();
  if (variant.work === undefined) throw new Error(`${variant.name} delivers nothing`);
  await stage.start(variant.work(stage, { ...outboundEnv(key), BENCH_HANDLERS: "none" }));
  return withIntake(stage, async (intake) => {
    await addEndpoint(intake.store, key, "ep_bench", { url: `http://127.0.0.1:${sink.port}/keep` });
    const series = seriesOf(options);
    const warmUp = perSecond;
    const events = Math.ceil(perSecond * seconds) + warmUp;
    const committed = new Map<string, number>();
    const startedAt = performance.now();
    const clock = startClock(stage);
    for (let n = 0; n < events; n++) {
      await sleep(Math.max(0, startedAt + (n * 1_000) / perSecond - performance.now()));
      const [id] = await commit(intake, series, [n], (at) => committed.set(idOf(series, n), at));
      if (id === undefined) throw new Error("nothing was committed");
    }
    const { arrivals = {}, different } = await received(sink, events);
    const took = Float64Array.from([...committed].slice(warmUp), ([id, at]) => (arrivals[id] ?? Number.NaN) - at);
    const books = {
      ...sent(events),
      stored: null,
      ledger: await settled(stage, events),
      effects: different,
      handlers: 1,
    };
    return {
      perSecond,
      toEffect: describeTimes(took),
      events: events - warmUp,
      seconds,
      cpuUsPerEvent: clock.read(events),
      rssMiB: memoryOf(stage),
      books,
      problems: imbalances(books),
    };
  });
}

interface Sink {
  readonly port: number;
  ask(what: "counts" | "all"): Promise<SinkReport>;
}

async function startSink(stage: Stage): Promise<Sink> {
  const { child } = await stage.start({ role: "sink", file: "peers/sink.ts", env: {} });
  const ask: Sink["ask"] = (what) =>
    new Promise((resolve) => {
      child.once("message", (report) => resolve(report as SinkReport));
      child.send(what);
    });
  return { port: (await ask("counts")).port, ask };
}

/** Resolves once so many different requests have come, or when for a minute there was none more. */
async function received(sink: Sink, events: number, look = (): void => undefined): Promise<SinkReport> {
  let best = 0;
  for (let bestAt = Date.now(); Date.now() - bestAt < 60_000;) {
    const { different } = await sink.ask("counts");
    if (different >= events) break;
    if (different > best) [best, bestAt] = [different, Date.now()];
    look();
    await sleep(50);
  }
  return sink.ask("all");
}

/** How many deliveries have succeeded, once all have. */
async function settled(stage: Stage, events: number): Promise<number> {
  for (let tries = 0; ; tries++) {
    const [row] = await stage.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM penstock.deliveries WHERE state = 'succeeded' AND starts_with(subscriber, 'ep_')",
    );
    if (row?.n === events || tries === 100) return row?.n ?? 0;
    await sleep(100);
  }
}

const sent = (events: number) => ({ sent: events, acknowledged: events, refused: 0, timedOut: 0 });

const outboundEnv = (key: string) => ({ PENSTOCK_MASTER_KEY: key, OUTBOUND_ALLOW: "127.0.0.0/8" });

function seriesOf({ payloadBytes }: RunOptions): EventSeries {
  return { tag: randomBytes(3).toString("hex"), payloadBytes, contacts: 10_000 };
}

const idOf = ({ tag }: EventSeries, number: number): string => `evt_${tag}_${String(number).padStart(8, "0")}`;

/** What an ingest has: this process takes its place. */
interface Intake {
  readonly store: Store;
  readonly queue: EventQueue;
}

async function withIntake<T>(stage: Stage, work: (intake: Intake) => Promise<T>): Promise<T> {
  const connectionString = stage.databaseUrl;
  const store = createStore({ connectionString, applicationName: "bench", maxConnections: 2 });
  const queue = openQueue({ kind: "redis", url: stage.redis.url }, (_, maxConnections) =>
    createQueuePool({ connectionString, schema: QUEUE_SCHEMA, maxConnections, applicationName: "bench" }),
  );
  try {
    return await work({ store, queue });
  } finally {
    await queue.close();
    await store.close();
  }
}

async function addEndpoint(
  store: Store,
  key: string,
  id: string,
  given: Pick<EndpointSettings, "url"> & Partial<EndpointSettings>,
): Promise<void> {
  const settings = { ...ENDPOINT_DEFAULTS, ...given };
  await createEndpoint(store, { id, secret: parseMasterKeys(key).seal(generateSecret(), id), settings }, "test");
}

/** Commits events as intake does and adds their job; `onCommit` hears when the answer was there. Returns their ids. */
async function commit(
  { store, queue }: Intake,
  series: EventSeries,
  numbers: readonly number[],
  onCommit: (at: number) => void = () => undefined,
): Promise<string[]> {
  const events = numbers.map((number) => {
    const body = Buffer.from(eventBody(series, number));
    const eventId = idOf(series, number);
    return {
      source: "buzzbip",
      eventId,
      key: null,
      type: "message.received",
      createdAt: new Date(),
      subjects: [`cnt_${number}`],
      problem: null,
      traceparent: null,
      bodyVaries: false,
      body,
      replay: null,
    };
  });
  const batch = await commitBatch(store, events);
  onCommit(performance.timeOrigin + performance.now());
  await queue.add([[batch]]);
  return events.map(({ eventId }) => eventId);
}

/** Stores events, and a delivery of each to the endpoint that is due, as the transaction of a batch would have left them. */
async function addDue(stage: Stage, series: EventSeries, events: number): Promise<void> {
  const AT_ONCE = 1_000;
  for (let from = 0; from < events; from += AT_ONCE) {
    const bodies = Array.from({ length: Math.min(AT_ONCE, events - from) }, (_, n) => eventBody(series, from + n));
    await stage.query(
      `WITH made AS MATERIALIZED (
         SELECT nextval('penstock.batch_number') AS batch, (now() AT TIME ZONE 'UTC')::date AS day
       ), batch AS (
         INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies)
         SELECT day, batch, now(), cardinality($1::text[]), '[]', convert_to(array_to_string($1, ''), 'UTF8') FROM made
       ), events AS (
         INSERT INTO penstock.events
                (seq, day, received_at, source, event_id, type, created_at, subjects, body_at, body_bytes)
         SELECT batch * 1024 + nth - 1, day, now(), 'buzzbip', body::json->>'id', 'message.received', now(), '{}',
                sum(octet_length(body)) OVER (ORDER BY nth) - octet_length(body), octet_length(body)
           FROM made, unnest($1) WITH ORDINALITY AS b (body, nth)
         RETURNING day, seq
       )
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at)
       SELECT day, seq, 'ep_bench', 'pending', now() FROM events`,
      [bodies],
    );
  }
  await stage.query("VACUUM (ANALYZE) penstock.batches, penstock.events, penstock.deliveries");
}
