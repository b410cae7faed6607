import { defineConfig, defineHandler } from "@penstock/handler-sdk";
import { sql } from "kysely";

/**
 * Handlers that do what the text of a message tells them to: `exit`, `loop`, `slow 500`, `later 10` to fail at the first ten
 * calls of this process, and `retry exit` or `retry slow 500` to fail at first and do so when tried again. Both write one row per event, so that whatever happens to the process
 * can be compared with what took effect.
 */
function trialHandler(name: string, obedient: boolean) {
  let calls = 0;
  return defineHandler({
    name,
    on: ["message.received"],
    retry: { attempts: 3, baseMs: 50, capMs: 50 },
    migrations: {
      "1": {
        async up(db) {
          await sql`CREATE TABLE effects (event_id text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())`.execute(
            db,
          );
        },
      },
    },
    async handle(event, { tx, log, attempt }) {
      await tx.insertInto("effects").values({ event_id: event.id }).execute();
      if (!obedient) return;
      const words = (event.data.body ?? "").split(" ");
      if (words[0] === "retry" && attempt === 1) throw new Error("told to fail at first");
      const [order, argument] = words[0] === "retry" ? words.slice(1) : words;
      log.info({ order }, "handling");
      if (order === "later" && ++calls <= Number(argument)) throw new Error("told to fail at first");
      if (order === "exit") process.exit(1);
      if (order === "loop") for (;;);
      if (order === "slow") await new Promise((resolve) => setTimeout(resolve, Number(argument)));
    },
  });
}

export default defineConfig({ handlers: [trialHandler("a-obedient", true), trialHandler("b-plain", false)] });
