import { createIntake, type Intake, type IntakeOptions, type VerifiedEvent } from "@penstock/intake";
import { makeEvent } from "@penstock/schemas/fixtures";
import { buzzbip, requestOfBody } from "@penstock/sources";
import { createStore, insertEvents, migrate, type Store, type StoreOptions } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { createTestDatabase } from "@penstock/testing";

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

/** An intake on a store, the sizes of its commits, and the batches whose jobs it has added. */
export function intakeOn(
  store: Store,
  options: Partial<IntakeOptions> = {},
): { intake: Intake; commits: number[]; added: string[] } {
  const commits: number[] = [];
  const added: string[] = [];
  const intake = createIntake({
    store: {
      insertEvents(batchId, events) {
        commits.push(events.length);
        return insertEvents(store, batchId, events);
      },
    },
    queue: { add: async (batchIds) => void added.push(...batchIds) },
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

/** A stored event with the batch that it is pending in. */
export interface StoredRow {
  readonly seq: string;
  readonly event_id: string | null;
  readonly problem: string | null;
  readonly body: Buffer;
  readonly batch_id: string | null;
  readonly created_at: Date | null;
  readonly subjects: string[];
}

/** All events of a database in the order of their seq, read on a connection that committed none of them. */
export async function storedRows(store: Store): Promise<StoredRow[]> {
  const { rows } = await store.pool.query<StoredRow>(
    `SELECT e.seq, e.event_id, e.problem, e.body, e.created_at, e.subjects, p.batch_id
       FROM penstock.events e LEFT JOIN penstock.pending p USING (seq) ORDER BY e.seq`,
  );
  return rows;
}
