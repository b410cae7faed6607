import { defineConfig, defineHandler, type HandlerContext } from "@penstock/handler-sdk";
import { type Kysely, sql } from "kysely";

interface Tables {
  effects: { event_id: string };
}

const migrations = {
  "1": {
    async up(db: Kysely<unknown>) {
      await sql`CREATE TABLE effects (event_id text NOT NULL)`.execute(db);
    },
  },
};

/** One statement per event. */
const plain = defineHandler({
  name: "plain",
  on: ["message.received"],
  migrations,
  async handle(event, ctx: HandlerContext<Tables>) {
    ctx.log.info({}, "handling");
    await ctx.tx.insertInto("effects").values({ event_id: event.id }).execute();
  },
});

/** One statement for all events of a batch. */
const batched = defineHandler({
  name: "batched",
  on: ["message.sent"],
  migrations,
  async handle(event, ctx: HandlerContext<Tables>) {
    await ctx.tx.insertInto("effects").values({ event_id: event.id }).execute();
  },
  async handleBatch(events, ctx) {
    await ctx.tx
      .insertInto("effects")
      .values(events.map(({ id }) => ({ event_id: id })))
      .execute();
  },
});

/** Succeeds at the third attempt. */
const stubborn = defineHandler({
  name: "stubborn",
  on: ["contact.created"],
  retry: { attempts: 3, baseMs: 10, capMs: 10 },
  migrations,
  async handle(event, ctx: HandlerContext<Tables>) {
    if (ctx.attempt === 1) await sql`SELECT ${event.data.name}::int`.execute(ctx.tx);
    if (ctx.attempt === 2) throw new Error(`not yet: ${event.data.name}`);
    await ctx.tx.insertInto("effects").values({ event_id: event.id }).execute();
  },
});

/** Succeeds at the second attempt. */
const outward = defineHandler({
  kind: "effect",
  name: "outward",
  on: ["message.failed"],
  retry: { attempts: 2, baseMs: 10, capMs: 10 },
  async handle(_, ctx) {
    await ctx.once("call", () => ctx.log.info({}, "calling"));
    if (ctx.attempt === 1) throw new Error("not yet");
  },
});

export default defineConfig({ handlers: [plain, batched, stubborn, outward] });
