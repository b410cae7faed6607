// The handlers of a chaos run. The text of a message can hold an order for one of them: `throw rows`, `hang lane`, `end outside`.
import { openSync } from "node:fs";
import { join } from "node:path";
import { defineHandler, type EffectContext, type Handler, type HandlerContext } from "@penstock/handler-sdk";
import { type Kysely, sql } from "kysely";

interface Tables {
  effects: { event_id: string; lane: string; created_at: Date; replay: string | null };
  counters: { lane: string; events: number };
}

interface Received {
  readonly id: string;
  readonly createdAt: Date;
  readonly data: { readonly contactId: string; readonly body?: string | null | undefined };
}

/** No unique key: what is done twice is to be seen. */
async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE effects (nth bigint GENERATED ALWAYS AS IDENTITY, event_id text NOT NULL, lane text NOT NULL,
                          created_at timestamptz NOT NULL, replay text);
    CREATE TABLE counters (lane text PRIMARY KEY, events integer NOT NULL)`.execute(db);
}

const common = {
  on: ["message.received"],
  migrations: { "0001-tables": { up } },
  timeoutMs: 3_000,
  retry: { attempts: 10, baseMs: 100, capMs: 1_000 },
} as const;

/** Does what an event orders: throws at the first attempt; hangs, or ends the process, the first time. */
async function obey(handler: string, { id, data }: Received, attempt: number): Promise<void> {
  const [order, whom] = (data.body ?? "").split(" ");
  if (whom !== handler) return;
  if (order === "throw" && attempt === 1) throw new Error("ordered to throw");
  if (order === "hang" && isFirstTime(handler, id)) await new Promise(() => undefined);
  if (order === "end" && isFirstTime(handler, id)) process.kill(process.pid, "SIGKILL");
}

/** Remembered in a file: the process that obeys may be gone. */
function isFirstTime(handler: string, id: string): boolean {
  try {
    openSync(join(process.env["CHAOS_ORDERS"] ?? "", `${handler}-${id}`), "wx");
    return true;
  } catch {
    return false;
  }
}

async function insert(events: readonly Received[], tx: HandlerContext<Tables>["tx"], replay: string | null) {
  const values = events.map(({ id, createdAt, data }) => ({
    event_id: id,
    lane: data.contactId,
    created_at: createdAt,
    replay,
  }));
  await tx.insertInto("effects").values(values).execute();
}

/** A row per event, one by one. */
const rows = defineHandler({
  ...common,
  name: "rows",
  async handle(event, { tx, attempt, replay }: HandlerContext<Tables>) {
    await obey("rows", event, attempt);
    await insert([event], tx, replay?.id ?? null);
  },
});

/** A row per event and a count per contact, many events at once: all events of a contact write the same row. */
const counted = defineHandler({
  ...common,
  name: "counted",
  handle: (event, { tx, attempt, replay }: HandlerContext<Tables>) => count([event], tx, attempt, replay?.id ?? null),
  handleBatch: (events, { tx }: { tx: HandlerContext<Tables>["tx"] }) => count(events, tx, 1, null),
});

async function count(
  events: readonly Received[],
  tx: HandlerContext<Tables>["tx"],
  attempt: number,
  replay: string | null,
) {
  for (const event of events) await obey("counted", event, attempt);
  const lanes = events.map(({ data }) => data.contactId);
  await sql`
    INSERT INTO counters AS c (lane, events)
    SELECT lane, count(*) FROM unnest(${lanes}::text[]) AS lane GROUP BY lane ORDER BY lane
        ON CONFLICT (lane) DO UPDATE SET events = c.events + excluded.events`.execute(tx);
  await insert(events, tx, replay);
}

/** A row per event, in the order of the contact's events. */
const lane = defineHandler({
  ...common,
  name: "lane",
  lane: ({ data }) => data.contactId,
  async handle(event, { tx, attempt, replay }: HandlerContext<Tables>) {
    await obey("lane", event, attempt);
    await insert([event], tx, replay?.id ?? null);
  },
});

/** Tells the world outside, once, and then that this is on record. */
const outside = defineHandler({
  kind: "effect",
  name: "outside",
  on: ["message.received"],
  timeoutMs: 4_000,
  concurrency: 25,
  retry: { attempts: 10, baseMs: 100, capMs: 1_000 },
  async handle(event, ctx) {
    await obey("outside", event, ctx.attempt);
    await ctx.once("tell", () => tell("/tell", event.id, ctx));
    await tell("/recorded", event.id, ctx);
  },
});

async function tell(path: string, id: string, { idempotencyKey, attempt, signal }: EffectContext): Promise<string> {
  const body = JSON.stringify({ id, key: idempotencyKey, attempt });
  const response = await fetch(new URL(path, process.env["CHAOS_OUTSIDE"]), { method: "POST", body, signal });
  return response.text();
}

export const HANDLERS: Handler[] = [rows, counted, lane, outside];
