// How long an operator waits for the events that were asked for, on a database with history.
import { parseQuery } from "@penstock/schemas/search";
import { commitBatch, createEngineStore, createStore, searchEvents, type Store } from "@penstock/store";
import { eventBody } from "./events.ts";
import type { Measures, RunOptions } from "./run.ts";
import type { Stage } from "./stage.ts";
import { describeTimes } from "./statistics.ts";

const BATCH = 500;
/** In flight: a worker has so many, too. */
const BESIDE = 2;
/** So many of each query are timed. */
const TIMES = 20;

/** The deliveries of all events are written by one statement. */
const FILL_MS = 30 * 60_000;

function openStore(url: string): Store {
  return createStore({
    connectionString: url,
    applicationName: "penstock-bench",
    maxConnections: 4,
    statementTimeoutMs: FILL_MS,
    sources: ["buzzbip"],
  });
}

/** Stores events by the statements of intake and worker: what a search reads is written by these. */
export async function fillWithEvents(url: string, events: number): Promise<void> {
  const store = openStore(url);
  const engine = createEngineStore(store, "bench");
  const fill = async (first: number): Promise<void> => {
    for (let from = first; from < events; from += BATCH * BESIDE) {
      const numbers = Array.from({ length: Math.min(BATCH, events - from) }, (_, nth) => from + nth);
      const batches = [await commitBatch(store, numbers.map(toNewEvent))];
      await engine.transaction((tx) => tx.claimBatches({ batches, onlyThese: true, maxEvents: BATCH, maxBytes: 1e9 }));
      await engine.writeWords();
    }
  };
  try {
    await Promise.all(Array.from({ length: BESIDE }, (_, nth) => fill(nth * BATCH)));
    await store.pool.query(`
      INSERT INTO penstock.handlers (name, kind, types) VALUES ('bench', 'transactional', '{message.received}')
          ON CONFLICT DO NOTHING;
      INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
      SELECT day, seq, 'bench', CASE WHEN seq % 100000 = 1 THEN 'dead' ELSE 'succeeded' END, 1 FROM penstock.events;
      ANALYZE penstock.events, penstock.deliveries, penstock.event_words, penstock.batches, penstock.event_keys`);
  } finally {
    await store.close();
  }
}

const CONTACTS = 200_000;
const SERIES = { tag: "search", payloadBytes: 350, contacts: CONTACTS };
const digits = (n: number): string => String(n).padStart(8, "0");

function toNewEvent(n: number): Parameters<typeof commitBatch>[1][number] {
  const body = eventBody(SERIES, n);
  return {
    source: "buzzbip",
    eventId: `evt_search_${digits(n)}`,
    key: null,
    type: n % 50_000 === 77 ? "contact.created" : "message.received",
    createdAt: null,
    subjects: [`cnt_${digits(n % CONTACTS)}`],
    problem: null,
    traceparent: null,
    bodyVaries: false,
    body: Buffer.from(body),
    replay: null,
  };
}

/** Asks a query again and again, each time for another value: what stands in `$n`. */
export async function runSearch(stage: Stage, query: string, events: number, options: RunOptions): Promise<Measures> {
  const store = openStore(stage.databaseUrl);
  try {
    await ask(store, query, 1);
    const times = new Float64Array(TIMES);
    const startedAt = performance.now();
    for (let nth = 0; nth < TIMES; nth++) times[nth] = await ask(store, query, (nth * 7_919) % events);
    const seconds = (performance.now() - startedAt) / 1_000;
    const books = {
      sent: TIMES,
      acknowledged: TIMES,
      refused: 0,
      timedOut: 0,
      stored: null,
      ledger: null,
      effects: null,
      handlers: 0,
    };
    const { p50Ms, p99Ms, maxMs } = describeTimes(times);
    return {
      perSecond: TIMES / seconds,
      p50Ms,
      p99Ms,
      maxMs,
      events: TIMES,
      seconds: options.seconds,
      cpuUsPerEvent: {},
      rssMiB: {},
      books,
      problems: [],
    };
  } finally {
    await store.close();
  }
}

async function ask(store: Store, query: string, n: number): Promise<number> {
  const parsed = parseQuery(query.replaceAll("$n", digits(n)));
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join());
  const startedAt = performance.now();
  await searchEvents(store, { terms: parsed.terms });
  return performance.now() - startedAt;
}
