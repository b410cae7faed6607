// The three shapes of a run. Each is alike for all variants: real programs, a warm-up that is not counted, then what is
// measured, then the books.
import { setTimeout as sleep } from "node:timers/promises";
import { randomBytes } from "node:crypto";
import { findFreePort } from "@penstock/embedded-postgres";
import type { Program } from "@penstock/testing/servers";
import { type Books, imbalances } from "./books.ts";
import { eventNumber, type EventSeries } from "./events.ts";
import type { LoadOrder, LoadReport } from "./load.ts";
import { cpuMs, rssMiB } from "./proc.ts";
import type { Stage } from "./stage.ts";
import { describeTimes } from "./statistics.ts";
import type { Variant } from "./variants.ts";

/** What a run found. Rates are per second. */
export interface Measures {
  readonly perSecond: number;
  /** Of acknowledgements. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  readonly maxMs?: number;
  /** From the moment an event was to be sent to the commit of its effect; open loop only. */
  readonly toEffect?: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
  /** How late an open loop's sender was itself. */
  readonly lateP99Ms?: number;
  /** Events that were measured, without those of the warm-up. */
  readonly events: number;
  readonly seconds: number;
  /** Processor time of each process by what it is, in microseconds per event. */
  readonly cpuUsPerEvent: Readonly<Record<string, number>>;
  /** By what it is, at the end or the largest that was seen; of several processes, the largest. */
  readonly rssMiB: Readonly<Record<string, number>>;
  /** What Postgres has written per event, from intake to the committed effect; end to end only. */
  readonly bytesPerEvent?: BytesWritten;
  /** How long a day took to go. */
  readonly tookS?: number;
  readonly books: Books;
  /** What makes the run void. */
  readonly problems: readonly string[];
}

/** Bytes of Postgres. */
export interface BytesWritten {
  readonly wal: number;
  /** All tables with their indexes, but for the rows that the handlers write. */
  readonly tables: number;
}

/** How a run is done. */
export interface RunOptions {
  readonly payloadBytes: number;
  readonly seconds: number;
  readonly connections?: number;
  readonly contacts?: number;
  readonly ingests?: number;
  readonly workers?: number;
  /** Open loop, so many events a second; unless given, closed loop. */
  readonly perSecond?: number;
  /** Closed loop, so many events, however long they take. */
  readonly events?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Schemas of the handlers whose effects count. */
  readonly schemas?: readonly string[];
  /** Done before anything is started; may return more of the environment. */
  prepare?(stage: Stage): Promise<Readonly<Record<string, string>> | void>;
  /** Done to a backlog before the workers go on. */
  beforeWork?(stage: Stage): Promise<void>;
  /** Done while intake, or end to end, is measured. */
  during?(stage: Stage): Promise<void>;
}

export const CONNECTIONS = 64;
const CONTACTS = 10_000;
const SCHEMAS = ["bench"];
/** The most that a sender can do in a second, for how many requests are made ahead. */
const MOST_PER_SECOND: Readonly<Record<number, number>> = { 350: 40_000, 4096: 20_000 };

/** Intake alone: acknowledged events per second, nothing processes them. */
export async function runIntake(stage: Stage, variant: Variant, given: RunOptions): Promise<Measures> {
  const options = await prepared(stage, given);
  const before = (await variant.stored?.(stage)) ?? 0;
  const ports = await startIngests(stage, variant, options);
  const load = await startLoad(stage);
  const warmUp = await load.run({ ...orderOf(options, ports), ...closedFor(options, warmUpOf(options)) });
  const clock = startClock(stage);
  const [report] = await Promise.all([
    load.run({ ...orderOf(options, ports), ...paced(options) }, clock.reset),
    options.during?.(stage),
  ]);
  const used = clock.read(report.acknowledged);
  const memory = memoryOf(stage);
  const stored = variant.stored ? (await variant.stored(stage)) - before : null;
  const books = { ...sum(warmUp, report), stored, ledger: null, effects: null, handlers: 1 };
  return { ...ofLoad(report), cpuUsPerEvent: used, rssMiB: memory, books, problems: imbalances(books) };
}

/**
 * Processing alone: a backlog is there before the workers go on. They are started first, and stand still (SIGSTOP) while
 * it is made, so that none has a lead. The first fifth of the backlog warms up.
 */
export async function runProcess(stage: Stage, variant: Variant, given: RunOptions): Promise<Measures> {
  const options = await prepared(stage, given);
  const { schemas = SCHEMAS, workers = 1 } = options;
  const countBefore = await countAll(stage, variant, schemas);
  const series = seriesOf(options);
  const events = Math.ceil(variant.perSecond * options.seconds * 1.25 * workers);
  const standing = await startWorkers(stage, variant, options, workers);
  for (const { child } of standing) child.kill("SIGSTOP");
  const sent = await fillQueue(stage, variant, options, { ...series, events });
  await options.beforeWork?.(stage);
  const clock = startClock(stage);
  for (const { child } of standing) child.kill("SIGCONT");
  await drained(stage, series.tag, schemas, sent.acknowledged);
  const used = clock.read(sent.acknowledged);
  const memory = memoryOf(stage);
  const times = await commitTimes(stage, series.tag, schemas);
  const warm = Math.floor(times.length / 5);
  const seconds = ((times.at(-1) ?? 0) - (times[warm] ?? 0)) / 1000;
  const measured = (times.length - 1 - warm) / schemas.length;
  const counts = await countAll(stage, variant, schemas);
  const books = {
    ...sent,
    stored: null,
    ledger: counts.ledger - countBefore.ledger,
    effects: counts.effects - countBefore.effects,
    handlers: schemas.length,
  };
  return {
    perSecond: measured / seconds,
    events: sent.acknowledged,
    seconds,
    cpuUsPerEvent: used,
    rssMiB: memory,
    books,
    problems: imbalances(books),
  };
}

/**
 * From the request to the committed effect, ingest and worker side by side. Sustained: what was measured counts until the
 * last effect is there, however soon the last event was acknowledged.
 */
export async function runEndToEnd(stage: Stage, variant: Variant, given: RunOptions): Promise<Measures> {
  const options = await prepared(stage, given);
  const { schemas = SCHEMAS, workers = 1 } = options;
  const ports = await startIngests(stage, variant, options);
  await startWorkers(stage, variant, options, workers);
  const load = await startLoad(stage);
  const first = { ...orderOf(options, ports), ...closedFor(options, warmUpOf(options)) };
  const warmUp = await load.run(first);
  await drained(stage, first.tag, schemas, warmUp.acknowledged);
  const bytesBefore = await bytesOf(stage);
  const clock = startClock(stage);
  const order = { ...orderOf(options, ports), ...paced(options) };
  const [report] = await Promise.all([load.run(order, clock.reset), options.during?.(stage)]);
  await drained(stage, order.tag, schemas, report.acknowledged);
  const used = clock.read(report.acknowledged);
  const bytes = await bytesOf(stage);
  const memory = memoryOf(stage);
  const times = await commitTimes(stage, order.tag, schemas);
  const seconds = ((times.at(-1) ?? 0) - report.startedAt) / 1000;
  const counts = await countAll(stage, variant, schemas);
  const books = { ...sum(warmUp, report), stored: null, ...counts, handlers: schemas.length };
  return {
    ...ofLoad(report),
    ...(options.perSecond && { toEffect: await effectTimes(stage, order.tag, report, options.perSecond) }),
    perSecond: report.acknowledged / seconds,
    seconds,
    bytesPerEvent: {
      wal: (bytes.wal - bytesBefore.wal) / report.acknowledged,
      tables: (bytes.tables - bytesBefore.tables) / report.acknowledged,
    },
    cpuUsPerEvent: used,
    rssMiB: memory,
    books,
    problems: imbalances(books),
  };
}

/** As runEndToEnd, but so many events in bursts, with a look at the memory after each: the largest counts. */
export async function runMemory(
  stage: Stage,
  variant: Variant,
  options: RunOptions & { readonly events: number },
): Promise<Measures & { readonly rssOverTime: readonly (Record<string, number> & { events: number })[] }> {
  const { events } = options;
  const ports = await startIngests(stage, variant, options);
  await startWorkers(stage, variant, options, 1);
  const load = await startLoad(stage);
  const looks: Record<string, number>[] = [];
  const rssOverTime: (Record<string, number> & { events: number })[] = [];
  const clock = startClock(stage);
  const startedAt = Date.now();
  let total: Sent = { sent: 0, acknowledged: 0, refused: 0, timedOut: 0 };
  while (total.sent < events) {
    const order = {
      ...orderOf(options, ports),
      events: Math.min(50_000, events - total.sent),
      seconds: 600,
      perSecond: null,
    };
    const report = await load.run(order);
    await drained(stage, order.tag, SCHEMAS, report.acknowledged);
    total = sum(total, report);
    const memory = memoryOf(stage);
    looks.push(memory);
    rssOverTime.push({ events: total.sent, ...memory });
  }
  const seconds = (Date.now() - startedAt) / 1000;
  const books = { ...total, stored: null, ...(await countAll(stage, variant, SCHEMAS)), handlers: 1 };
  return {
    perSecond: total.acknowledged / seconds,
    events: total.acknowledged,
    seconds,
    cpuUsPerEvent: clock.read(total.acknowledged),
    rssMiB: largest(looks),
    rssOverTime,
    books,
    problems: imbalances(books),
  };
}

async function prepared(stage: Stage, options: RunOptions): Promise<RunOptions> {
  const env = (await options.prepare?.(stage)) ?? {};
  return { ...options, env: { ...options.env, ...env } };
}

type Sent = Pick<Books, "sent" | "acknowledged" | "refused" | "timedOut">;

function sum(a: Sent, b: Sent): Sent {
  return {
    sent: a.sent + b.sent,
    acknowledged: a.acknowledged + b.acknowledged,
    refused: a.refused + b.refused,
    timedOut: a.timedOut + b.timedOut,
  };
}

function seriesOf({ payloadBytes, contacts = CONTACTS }: RunOptions): EventSeries {
  return { tag: randomBytes(3).toString("hex"), payloadBytes, contacts };
}

function orderOf(
  options: RunOptions,
  ports: readonly number[],
): EventSeries & Pick<LoadOrder, "ports" | "connections"> {
  return { ...seriesOf(options), ports, connections: options.connections ?? CONNECTIONS };
}

type Pace = Pick<LoadOrder, "events" | "seconds" | "perSecond">;

function closedFor({ payloadBytes }: RunOptions, seconds: number): Pace {
  return { seconds, events: Math.ceil((MOST_PER_SECOND[payloadBytes] ?? 40_000) * seconds), perSecond: null };
}

/** Long enough for V8 to have compiled what is hot: a program that does more for an event takes longer to get warm. */
function warmUpOf({ seconds }: RunOptions): number {
  return Math.min(2, seconds * 1.5);
}

function paced(options: RunOptions): Pace {
  const { perSecond, seconds, events } = options;
  if (events !== undefined) return { events, seconds: 600, perSecond: null };
  if (perSecond === undefined) return closedFor(options, seconds);
  return { perSecond, events: Math.ceil(perSecond * seconds), seconds: seconds + 10 };
}

function ofLoad({ acknowledged, seconds, p50Ms, p99Ms, maxMs, lateP99Ms }: LoadReport) {
  return { perSecond: acknowledged / seconds, events: acknowledged, seconds, p50Ms, p99Ms, maxMs, lateP99Ms };
}

async function startIngests(stage: Stage, variant: Variant, { ingests = 1, env }: RunOptions): Promise<number[]> {
  const ports: number[] = [];
  for (let at = 0; at < ingests; at++) {
    const port = await findFreePort();
    if (variant.serve === undefined) throw new Error(`${variant.name} takes no webhooks`);
    await stage.start(variant.serve(stage, port, env));
    ports.push(port);
  }
  return ports;
}

async function startWorkers(
  stage: Stage,
  { name, work }: Variant,
  { env }: RunOptions,
  workers: number,
): Promise<Program[]> {
  if (work === undefined) throw new Error(`${name} processes nothing`);
  const spec = work(stage, env);
  return Promise.all(Array.from({ length: workers }, () => stage.start(spec)));
}

/** Has a variant take a backlog in by its own way, and ends what took it. */
async function fillQueue(
  stage: Stage,
  variant: Variant,
  options: RunOptions,
  backlog: EventSeries & { readonly events: number },
): Promise<Sent> {
  const { events } = backlog;
  if (variant.enqueue !== undefined) {
    const program = await stage.start(variant.enqueue(stage, backlog));
    const code = await program.ended;
    if (code !== 0) throw new Error(`filling the queue of ${variant.name} ended with ${code}`);
    return { sent: events, acknowledged: events, refused: 0, timedOut: 0 };
  }
  const ports = await startIngests(stage, variant, options);
  const load = await startLoad(stage);
  const order = { ...backlog, ports, connections: CONNECTIONS, seconds: 600, perSecond: null };
  const report = await load.run(order);
  await Promise.all(stage.programs.filter(({ role }) => role !== "worker").map((program) => program.stop()));
  return sum({ sent: 0, acknowledged: 0, refused: 0, timedOut: 0 }, report);
}

interface Load {
  /** `onStart` is called when all is prepared, right before the first request. */
  run(order: LoadOrder, onStart?: () => void): Promise<LoadReport>;
}

async function startLoad(stage: Stage): Promise<Load> {
  const { child, ended } = await stage.start({ role: "load", file: "load.ts", env: {} });
  const next = <T>(): Promise<T> =>
    Promise.race([
      new Promise<T>((resolve) => child.once("message", (message) => resolve(message as T))),
      ended.then((code) => Promise.reject(new Error(`the load generator ended with ${code}`))),
    ]);
  return {
    async run(order, onStart) {
      child.send(order);
      await next();
      onStart?.();
      child.send("go");
      return next<LoadReport>();
    },
  };
}

/** Tells the processor time that each process has used since it was set. */
export function startClock(stage: Stage): { reset(): void; read(events: number): Record<string, number> } {
  let before = new Map<number, number>();
  const look = (): Map<number, number> => {
    const pids = [...stage.programs.map(({ pid }) => pid), stage.postgres.pid, stage.redis.pid];
    return new Map(pids.map((pid) => [pid, cpuMs(pid)]));
  };
  const roleOf = (pid: number): string =>
    stage.programs.find((program) => program.pid === pid)?.role ?? (pid === stage.redis.pid ? "redis" : "postgres");
  before = look();
  return {
    reset: () => void (before = look()),
    read(events) {
      const used: Record<string, number> = {};
      for (const [pid, now] of look()) {
        const role = roleOf(pid);
        used[role] = (used[role] ?? 0) + ((now - (before.get(pid) ?? now)) * 1000) / Math.max(1, events);
      }
      return used;
    },
  };
}

export function memoryOf(stage: Stage): Record<string, number> {
  const memory: Record<string, number> = {};
  for (const { role, pid } of stage.programs.filter(isAlive)) memory[role] = Math.max(memory[role] ?? 0, rssMiB(pid));
  return memory;
}

/** The largest of each role. */
function largest(looks: readonly Record<string, number>[]): Record<string, number> {
  const most: Record<string, number> = {};
  for (const look of looks) {
    for (const [role, mib] of Object.entries(look)) most[role] = Math.max(most[role] ?? 0, mib);
  }
  return most;
}

const isAlive = ({ child }: Program): boolean => child.exitCode === null && child.signalCode === null;

/** What Postgres has written so far. Penstock's tables, those of its queue and those of peers are in one database. */
async function bytesOf(stage: Stage): Promise<BytesWritten> {
  const [row] = await stage.query<BytesWritten>(
    `SELECT (pg_current_wal_lsn() - '0/0')::float8 AS wal, sum(pg_total_relation_size(c.oid))::float8 AS tables
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT (n.nspname LIKE 'bench%' AND c.relname IN ('effects', 'counters'))`,
  );
  return { wal: row?.wal ?? Number.NaN, tables: row?.tables ?? Number.NaN };
}

const tablesOf = (schemas: readonly string[], columns: string): string =>
  schemas.map((schema) => `SELECT ${columns} FROM ${schema}.effects`).join(" UNION ALL ");

/** Waits until each handler has an effect of each event. @throws when for a minute there was none more */
async function drained(stage: Stage, tag: string, schemas: readonly string[], events: number): Promise<void> {
  let best = -1;
  let bestAt = Date.now();
  for (;;) {
    const askedAt = Date.now();
    const n = await countEffects(stage, schemas, tag);
    if (n >= events * schemas.length) return;
    if (n > best) [best, bestAt] = [n, Date.now()];
    if (Date.now() - bestAt > 60_000) throw new Error(`only ${n} effects of ${events * schemas.length} for a minute`);
    // Looking must not take much of the machine.
    await sleep(Math.max(100, (Date.now() - askedAt) * 20));
  }
}

async function countEffects(stage: Stage, schemas: readonly string[], tag: string | null): Promise<number> {
  const sql = `SELECT count(*) AS n FROM (${tablesOf(schemas, "event_id")}) AS e`;
  const rows = await stage.query<{ n: string }>(
    tag === null ? sql : `${sql} WHERE event_id BETWEEN 'evt_${tag}_' AND 'evt_${tag}_~'`,
  );
  return Number(rows[0]?.n);
}

async function countAll(
  stage: Stage,
  variant: Variant,
  schemas: readonly string[],
): Promise<{ ledger: number; effects: number }> {
  return { ledger: await variant.ledger(stage, schemas), effects: await countEffects(stage, schemas, null) };
}

/** When each effect was committed, in milliseconds since 1970, in order. */
async function commitTimes(stage: Stage, tag: string, schemas: readonly string[]): Promise<number[]> {
  const rows = await stage.query<{ at: number }>(
    `SELECT extract(epoch FROM pg_xact_commit_timestamp(x))::float8 * 1000 AS at
       FROM (${tablesOf(schemas, "event_id, xmin AS x")}) AS e
      WHERE event_id BETWEEN 'evt_${tag}_' AND 'evt_${tag}_~' ORDER BY at`,
  );
  return rows.map(({ at }) => at);
}

/** From the moment an event was to be sent to the commit of its effect. */
async function effectTimes(stage: Stage, tag: string, { startedAt }: LoadReport, perSecond: number) {
  const rows = await stage.query<{ event_id: string; at: number }>(
    `SELECT event_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 * 1000 AS at
       FROM bench.effects WHERE event_id BETWEEN 'evt_${tag}_' AND 'evt_${tag}_~'`,
  );
  const times = rows.map(({ event_id, at }) => at - (startedAt + (eventNumber(event_id) / perSecond) * 1000));
  return describeTimes(Float64Array.from(times));
}
