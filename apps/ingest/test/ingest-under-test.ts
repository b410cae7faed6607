import { once } from "node:events";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { createIngest, type Ingest } from "@penstock/ingest";
import { type EventQueue, migrateQueue, openQueue, type OpenQueuePool, QUEUE_SCHEMA } from "@penstock/queue";
import { parseIngestConfig } from "@penstock/schemas";
import { makeEvent } from "@penstock/schemas/fixtures";
import { buzzbip, defineSources, signBuzzBip, type Sources } from "@penstock/sources";
import { createEngineStore, createQueuePool, createStore, migrate, type Store } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { createTestDatabase, recordPending } from "@penstock/testing";
import { afterAll, beforeEach, onTestFinished } from "vitest";

const SECRET = "whsec_of_the_tests_of_ingest";
export const OLD_SECRET = "whsec_that_is_being_rotated_out";
export const WEBHOOK = "/webhooks/buzzbip";

/** The connection string of a database of its own with everything in place that ingest needs. */
export async function openDatabase(): Promise<string> {
  return (await createTestDatabase({ template: "ingest", migrate: migrateAt })).url;
}

/** Tables of events, as far as ingest and {@link recordEvents} write them. */
const EVENT_TABLES = "penstock.batches, penstock.pending, penstock.event_keys, penstock.events";

/** A database for the tests of a file; these tables are emptied before each of them. */
export async function databaseOfFile(tables = EVENT_TABLES): Promise<{ databaseUrl: string; store: Store }> {
  const databaseUrl = await openDatabase();
  const store = storeAt(databaseUrl);
  beforeEach(() => store.pool.query(`TRUNCATE ${tables}`));
  afterAll(() => store.close());
  return { databaseUrl, store };
}

export async function migrateAt(url: string): Promise<void> {
  const store = storeAt(url);
  await migrate(store);
  await store.close();
  await migrateQueue({ kind: "postgres" }, poolsAt(url));
}

export function storeAt(url: string): Store {
  return createStore({ connectionString: url, applicationName: "ingest-test", maxConnections: 4 });
}

function poolsAt(connectionString: string): OpenQueuePool {
  return (url = connectionString, maxConnections) =>
    createQueuePool({ connectionString: url, schema: QUEUE_SCHEMA, maxConnections, applicationName: "ingest-test" });
}

/** The environment of an ingest on a database; `overrides` are laid over it. */
export function environment(
  databaseUrl: string,
  overrides: Record<string, string | undefined> = {},
): Record<string, string> {
  const given = {
    DATABASE_URL: databaseUrl,
    BUZZBIP_SIGNING_SECRETS: `${SECRET}\n${OLD_SECRET}`,
    INGEST_HOST: "127.0.0.1",
    INGEST_PORT: "0",
    LOG_LEVEL: "debug",
    ...overrides,
  };
  const isSet = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined;
  return Object.fromEntries(Object.entries(given).filter(isSet));
}

export interface IngestUnderTest {
  readonly ingest: Ingest;
  readonly port: number;
  readonly store: Store;
  readonly queue: EventQueue;
  /** What was logged so far, in one piece. */
  logged(): string;
}

/** Starts an ingest that listens on a port of its own; what the test does not close is closed when it ends. */
export async function startIngest(
  databaseUrl: string,
  overrides: Record<string, string | undefined> = {},
  sources: Sources = defineSources({ buzzbip: buzzbip() }),
): Promise<IngestUnderTest> {
  const config = parseIngestConfig(environment(databaseUrl, overrides), sources);
  const lines: string[] = [];
  const log = createLogger({
    service: "ingest",
    level: config.logLevel,
    destination: { write: (line) => lines.push(line) },
  });
  const store = storeAt(databaseUrl);
  const queue = openQueue(config.queue, poolsAt(databaseUrl), { addTimeoutMs: 1_000 });
  const ingest = createIngest(config, sources, { store, queue, log });
  const { port } = await ingest.listen();
  onTestFinished(async () => {
    await ingest.close(100);
    await queue.close();
    await store.close();
  });
  return { ingest, port, store, queue, logged: () => lines.join("") };
}

/** A body that BuzzBip could have sent. */
export function eventBody(id?: string): Buffer {
  return Buffer.from(JSON.stringify(makeEvent("message.received", { id })));
}

/** The headers that BuzzBip would send with a body. */
export function signed(body: Buffer, secret = SECRET): Record<string, string> {
  return signBuzzBip(body, secret);
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Sending {
  readonly method?: string;
  readonly path?: string;
  /** A list is a header of its own for each value. */
  readonly headers?: Record<string, string | string[]>;
  readonly body?: Buffer;
  /** Sends the body in chunks, without announcing its length. */
  readonly chunked?: boolean;
  readonly agent?: Agent;
}

/** Sends one request, signed unless headers are given, on a connection of its own unless an agent is. */
export function send(port: number, sending: Sending = {}): Promise<Answer> {
  const { method = "POST", path = WEBHOOK, body = eventBody(), chunked = false } = sending;
  const { headers = signed(body), agent = new Agent({ maxSockets: 1 }) } = sending;
  const length = chunked || method === "GET" || method === "HEAD" ? {} : { "content-length": String(body.length) };
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, method, path, agent, headers: { ...length, ...headers } });
    sent.on("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(parts).toString() }),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    if (method === "GET" || method === "HEAD") sent.end();
    else sent.end(body);
  });
}

/** A connection on which a test writes what it wants, and reads what comes. */
export interface RawConnection {
  readonly socket: Socket;
  write(text: string | Buffer): void;
  received(): string;
  /** Resolves when the other side has closed it. */
  readonly closed: Promise<unknown>;
}

export async function connectRaw(port: number): Promise<RawConnection> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (data) => (received += data.toString()));
  socket.on("error", () => undefined);
  // Not events.once: it would reject where the connection is reset.
  const closed = new Promise((resolve) => socket.on("close", resolve));
  await once(socket, "connect");
  onTestFinished(() => void socket.destroy());
  return { socket, write: (text) => socket.write(text), received: () => received, closed };
}

/** A request as it goes over the wire. */
export function onTheWire(body: Buffer, headers: Record<string, string> = signed(body)): Buffer {
  const lines = Object.entries({ Host: "test", "Content-Length": String(body.length), ...headers });
  const head = `POST ${WEBHOOK} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** All events that are stored, as a table for FROM: duplicates, too, since only a worker finds out which those are. */
export const STORED = `(
  SELECT e.*, penstock.body_of(e.day, e.seq, e.body_at, e.body_bytes) AS body
    FROM penstock.batches b, LATERAL penstock.events_of(b) AS e) AS stored`;

/** An event, once a worker has recorded it. */
export interface RecordedEvent {
  readonly event_id: string | null;
  readonly type: string | null;
  readonly problem: string | null;
  readonly body: Buffer;
}

/** Records what is pending, and gives all events, each once, in the order of their arrival. */
export async function recordEvents(store: Store): Promise<RecordedEvent[]> {
  await recordPending(createEngineStore(store, "ingest-test"));
  const { rows } = await store.pool.query<RecordedEvent>(
    `SELECT event_id, type, problem, penstock.body_of(day, seq, body_at, body_bytes) AS body
       FROM penstock.events ORDER BY seq`,
  );
  return rows;
}

/** Rows that refused requests must not leave, in every table that ingest writes to. */
export async function countRows(store: Store): Promise<{ events: number; pending: number }> {
  const { rows } = await store.pool.query<{ events: number; pending: number }>(
    `SELECT (SELECT count(*) FROM ${STORED})::int AS events,
            (SELECT coalesce(sum(events), 0) FROM penstock.pending)::int AS pending`,
  );
  return rows[0]!;
}

/** Holds up every commit of ingest until it is called. */
export async function blockIntake(store: Store): Promise<() => Promise<void>> {
  const blocker = await store.pool.connect();
  await blocker.query("BEGIN; LOCK TABLE penstock.batches IN ACCESS EXCLUSIVE MODE");
  return async () => {
    await blocker.query("COMMIT");
    blocker.release();
  };
}

/** How many commits of ingest wait for the block. */
export async function commitsHeld(store: Store): Promise<number> {
  const { rowCount } = await store.pool.query(
    "SELECT FROM pg_locks WHERE NOT granted AND relation = 'penstock.batches'::regclass",
  );
  return rowCount ?? 0;
}
