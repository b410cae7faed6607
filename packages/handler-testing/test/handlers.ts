import { defineHandler, type HandlerContext, RetryAfterError } from "@penstock/handler-sdk";
import { sql } from "kysely";

export interface Tables {
  greetings: { event_id: string; body: string; batch: number };
}

/** Greets a message by a row, all of a batch at once; one that says "unwell" is refused by the table. */
export const greetings = defineHandler({
  name: "greetings",
  on: ["message.received"],
  retry: { attempts: 3, baseMs: 60_000, capMs: 3_600_000 },
  migrations: {
    "0001-greetings": {
      up: async (db) =>
        void (await sql`CREATE TABLE greetings (event_id text PRIMARY KEY, body text CHECK (body <> 'unwell'), batch int)`.execute(
          db,
        )),
    },
  },
  async handle(event, ctx: HandlerContext<Tables>) {
    ctx.log.info({ tries: ctx.attempt }, "greeting");
    const body = event.data.body ?? "";
    await ctx.tx.insertInto("greetings").values({ event_id: event.id, body, batch: 0 }).execute();
  },
  async handleBatch(events, ctx) {
    const rows = events.map(({ id, data }) => ({ event_id: id, body: data.body ?? "", batch: events.length }));
    await ctx.tx.insertInto("greetings").values(rows).execute();
  },
});

/** Posts each event once to an outside that is down as often as it is told. */
export function poster(down: number, why: () => Error = () => new Error("it is down")) {
  const calls: string[] = [];
  const handler = defineHandler({
    kind: "effect",
    name: "poster",
    on: ["message.failed", "stripe.charge.succeeded"],
    retry: { scheduleMs: [1_000, 60_000, 3_600_000] },
    async handle(event, ctx) {
      const ticket = await ctx.once("ticket", () => {
        calls.push(`ticket ${ctx.idempotencyKey}`);
        return { about: event.id };
      });
      await ctx.once("mail", () => {
        calls.push(`mail ${ticket.about}`);
        if (calls.length <= down + 1) throw why();
      });
    },
  });
  return { calls, handler };
}

export const later = (): Error => new RetryAfterError(90_000);

/** Notes the order in which it is called, of each conversation; fails at what says "fail". */
export function ordered(order: "strict" | "newest-wins") {
  const seen: string[] = [];
  let failing = true;
  const handler = defineHandler({
    name: "ordered",
    on: ["message.received"],
    order,
    retry: { attempts: 5, baseMs: 1_000 },
    lane: (event) => event.data.conversationId ?? null,
    handle({ data }) {
      if (failing && data.body === "fail") throw new Error("not yet");
      seen.push(data.body ?? "");
    },
  });
  return { seen, handler, mend: () => void (failing = false) };
}
