import { createIntake, type Intake, type IntakeOptions, type VerifiedEvent } from "@penstock/intake";
import { makeEvent } from "@penstock/schemas/fixtures";
import { buzzbip, requestOfBody } from "@penstock/sources";
import { commitBatch, createEngineStore, createStore, migrate, type Store, type StoreOptions } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { createTestDatabase, type Recorded, recordPending } from "@penstock/testing";

/** Opens a store as ingest does. */
export function openStore(url: string, options: Partial<StoreOptions> = {}): Store {
  return createStore({ connectionString: url, applicationName: "intake-test", maxConnections: 4, ...options });
}

/** A store on a migrated database of its own. */
export async function openMigratedStore(): Promise<Store> {
  const { url } = await createTestDatabase({ template: "intake", migrate: migrateAt });
  return openStore(url);
}

export async function migrateAt(url: string): Promise<void> {
  const store = openStore(url);
  await migrate(store);
  await store.close();
}

/** An intake on a store, the sizes of its commits, and the jobs it has added: each the batches that it points to. */
export function intakeOn(
  store: Store,
  options: Partial<IntakeOptions> = {},
): { intake: Intake; commits: number[]; added: (readonly number[])[] } {
  const commits: number[] = [];
  const added: (readonly number[])[] = [];
  const intake = createIntake({
    store: {
      commitBatch(events) {
        commits.push(events.length);
        return commitBatch(store, events);
      },
    },
    queue: { add: async (jobs) => void added.push(...jobs) },
    log: createLogger({ service: "intake-test", level: "silent" }),
    windowDays: 400,
    ...options,
  });
  return { intake, commits, added };
}

/** What a sender signed and ingest verified: an event with this id (any, unless given) and text, or these very bytes. */
export function verified(
  content: { id?: string; text?: string; createdAt?: string; contactId?: string } | Buffer = {},
  source = "buzzbip",
): VerifiedEvent {
  const body = Buffer.isBuffer(content) ? content : toBody(content);
  return { source, identity: buzzbip().identify(requestOfBody(body)), body, traceparent: null };
}

function toBody({ id, createdAt, text = "hello", contactId = "cnt_1" }: { [name: string]: string }): Buffer {
  return Buffer.from(JSON.stringify(makeEvent("message.received", { id, createdAt, data: { body: text, contactId } })));
}

export function verifiedMany(count: number): VerifiedEvent[] {
  return Array.from({ length: count }, () => verified());
}

/** A stored event. */
export interface StoredRow {
  readonly seq: string;
  readonly source: string;
  readonly event_id: string | null;
  readonly type: string | null;
  readonly problem: string | null;
  readonly body: Buffer;
  readonly created_at: Date | null;
  readonly subjects: string[];
}

const COLUMNS = `seq::text, source, event_id, type, problem, created_at, subjects,
  penstock.body_of(day, seq, body_at, body_bytes) AS body`;

/** All that is committed, copies included, in the order of seq, each with the batch that it is pending in. */
export async function committedRows(store: Store): Promise<(StoredRow & { readonly batch: number | null })[]> {
  const { rows } = await store.pool.query<StoredRow & { readonly batch: number | null }>(
    `SELECT ${COLUMNS}, p.batch::int AS batch
       FROM (SELECT e.* FROM penstock.batches b, LATERAL penstock.events_of(b) AS e) AS e
       LEFT JOIN (SELECT batch FROM penstock.pending) AS p ON p.batch = e.seq / 1024 ORDER BY e.seq`,
  );
  return rows;
}

/** Records what is pending, and counts what was found of it. */
export function record(store: Store): Promise<Recorded> {
  return recordPending(createEngineStore(store, "intake-test"));
}

/** All events of a database in the order of their seq, once what is pending is recorded. */
export async function recordedRows(store: Store): Promise<StoredRow[]> {
  await record(store);
  const { rows } = await store.pool.query<StoredRow>(`SELECT ${COLUMNS} FROM penstock.events e ORDER BY e.seq`);
  return rows;
}
