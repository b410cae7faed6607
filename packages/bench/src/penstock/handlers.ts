// The handlers that Penstock runs in the benchmark. Its mark that an event was handled is the delivery, so a handler only
// writes its row.
import { defineHandler, type Handler, type HandlerContext, type BatchContext } from "@penstock/handler-sdk";
import { type Kysely, sql } from "kysely";

interface Tables {
  effects: { event_id: string; contact_id: string };
  counters: { contact_id: string; events: number };
}

/** The tables of each handler, and in the schema `bench` those of the peers. */
async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE ledger (event_id text PRIMARY KEY);
    CREATE TABLE effects (event_id text PRIMARY KEY, contact_id text NOT NULL);
    CREATE TABLE counters (contact_id text PRIMARY KEY, events integer NOT NULL)`.execute(db);
}

const common = { on: ["message.received"], migrations: { "0001-tables": { up } } } as const;

interface Received {
  readonly id: string;
  readonly data: { readonly contactId: string };
}

async function insertOne({ id, data }: Received, { tx }: Pick<HandlerContext<Tables>, "tx">): Promise<void> {
  await tx.insertInto("effects").values({ event_id: id, contact_id: data.contactId }).execute();
}

async function insertMany(events: readonly Received[], { tx }: Pick<BatchContext<Tables>, "tx">): Promise<void> {
  const ids = events.map(({ id }) => id);
  const contacts = events.map(({ data }) => data.contactId);
  await sql`INSERT INTO effects (event_id, contact_id) SELECT * FROM unnest(${ids}::text[], ${contacts}::text[])`.execute(
    tx,
  );
}

/** A row per event: one statement for a batch. */
const batch = (name: string): Handler => defineHandler({ ...common, name, handle: insertOne, handleBatch: insertMany });

/** A row per event: a statement for each, in sequence. */
const plain = defineHandler({ ...common, name: "bench", handle: insertOne });

/** Never succeeds. */
const failing = (name: string): Handler =>
  defineHandler({
    ...common,
    name,
    handle() {
      throw new Error("it fails always");
    },
  });

/** A row per event, and a count per contact: all events of a contact write the same row. */
const counting = defineHandler({
  ...common,
  name: "bench",
  handle: (event, ctx: HandlerContext<Tables>) => countAndInsert([event], ctx),
  handleBatch: (events, ctx: BatchContext<Tables>) => countAndInsert(events, ctx),
});

async function countAndInsert(events: readonly Received[], ctx: Pick<BatchContext<Tables>, "tx">): Promise<void> {
  const contacts = events.map(({ data }) => data.contactId);
  await sql`
    INSERT INTO counters AS c (contact_id, events)
    SELECT contact_id, count(*) FROM unnest(${contacts}::text[]) AS contact_id GROUP BY contact_id ORDER BY contact_id
        ON CONFLICT (contact_id) DO UPDATE SET events = c.events + excluded.events`.execute(ctx.tx);
  await insertMany(events, ctx);
}

const others = ["bench-2", "bench-3", "bench-4"];

/** The sets of handlers that a worker of the benchmark can have. */
export const HANDLERS = {
  none: [],
  batch: [batch("bench")],
  plain: [plain],
  counting: [counting],
  five: [batch("bench"), ...others.map(batch), batch("bench-5")],
  fiveOneFailing: [batch("bench"), ...others.map(batch), failing("bench-5")],
} satisfies Record<string, Handler[]>;

export type HandlerSet = keyof typeof HANDLERS;
