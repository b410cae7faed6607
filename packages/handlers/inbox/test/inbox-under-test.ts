import inbox from "@penstock/handler-inbox";
import type { AnyEvent } from "@penstock/handler-sdk";
import { makeEvent } from "@penstock/schemas/fixtures";
import { createEngineStore, createStore, migrate, type Store } from "@penstock/store";
import { createTestDatabase } from "@penstock/testing";

/** The handler on a database of its own. */
export interface InboxUnderTest {
  /** Applies events by `handleBatch`, in one transaction like the engine's. */
  batch(events: readonly AnyEvent[]): Promise<void>;
  /** Applies events by `handle`, one after the other in one transaction. */
  one(...events: readonly AnyEvent[]): Promise<void>;
  /** Applies events and holds the transaction open until the promise that it returns is called. */
  batchAndHold(events: readonly AnyEvent[]): Promise<() => Promise<void>>;
  /** What a query answers. */
  rows(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** The one row that a query answers. */
  row(sql: string): Promise<Record<string, unknown>>;
  /** All tables whole, in a fixed order. */
  tables(): Promise<Record<string, Record<string, unknown>[]>>;
  /** Empties the tables. */
  clear(): Promise<void>;
}

const TABLES = ["contacts", "conversations", "messages", "workflow_runs"];

export async function openInbox(): Promise<InboxUnderTest> {
  const { url } = await createTestDatabase({ template: "inbox", migrate: migrateInbox });
  const store = openStore(url);
  const engineStore = createEngineStore(store, "inbox-test");
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const { signal } = new AbortController();

  const apply = (events: readonly AnyEvent[], how: "batch" | "one", hold?: () => Promise<void>): Promise<void> =>
    engineStore.transaction(async (engineTx) => {
      const outcome = await engineTx.savepoint(inbox.schema, async (tx) => {
        if (how === "batch") return inbox.handleBatch?.(events, { tx, log, signal });
        for (const event of events) {
          await inbox.handle(event, { tx, log, signal, attempt: 1, replay: null, idempotencyKey: event.id });
        }
      });
      if (!outcome.ok) throw outcome.error;
      await hold?.();
    });

  const under: InboxUnderTest = {
    batch: (events) => apply(events, "batch"),
    one: (...events) => apply(events, "one"),
    async batchAndHold(events) {
      const applied = Promise.withResolvers<void>();
      const letGo = Promise.withResolvers<void>();
      const done = apply(events, "batch", () => {
        applied.resolve();
        return letGo.promise;
      });
      done.catch(applied.reject);
      await applied.promise;
      return () => {
        letGo.resolve();
        return done;
      };
    },
    rows: async (sql, values) => (await store.pool.query<Record<string, unknown>>(sql, values)).rows,
    async row(sql) {
      const rows = await under.rows(sql);
      if (rows.length !== 1) throw new Error(`${rows.length} rows instead of one: ${sql}`);
      return rows[0] ?? {};
    },
    async tables() {
      const dump: Record<string, Record<string, unknown>[]> = {};
      for (const table of TABLES) dump[table] = await under.rows(`SELECT * FROM inbox.${table} ORDER BY 1, 2`);
      return dump;
    },
    async clear() {
      // Of few rows: a TRUNCATE would make a new file for each table and index.
      for (const table of TABLES) await store.pool.query(`DELETE FROM inbox.${table}`);
    },
  };
  return under;
}

async function migrateInbox(url: string): Promise<void> {
  const store = openStore(url);
  await migrate(store, [inbox]);
  await store.close();
}

function openStore(connectionString: string): Store {
  return createStore({ connectionString, applicationName: "inbox-test", maxConnections: 6, onConnectionError: ignore });
}

function ignore(): void {
  // Nothing is asked of it here.
}

/** What an event of a test is: the rest is the fixture's. */
export interface TestEvent {
  readonly id?: string;
  readonly source?: string;
  /** Seconds after 10:00, or ISO 8601. */
  readonly at?: number | string;
  /** The same; a minute after `at` unless given. */
  readonly receivedAt?: number | string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** An event as a handler gets it. */
export function event(
  type: AnyEvent["type"],
  { id, source = "buzzbip", at = 0, receivedAt, data }: TestEvent = {},
): AnyEvent {
  const createdAt = toDate(at);
  return {
    ...makeEvent(type, { id, data }),
    createdAt,
    source,
    seq: 1,
    receivedAt: receivedAt === undefined ? new Date(createdAt.getTime() + 60_000) : toDate(receivedAt),
  } as AnyEvent;
}

/** A time of day of the tests, seconds after 10:00. */
export function toDate(at: number | string): Date {
  return typeof at === "string" ? new Date(at) : new Date(Date.parse("2026-06-01T10:00:00Z") + at * 1_000);
}
