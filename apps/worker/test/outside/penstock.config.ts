import { defineConfig, defineHandler, type EffectContext, PermanentError } from "@penstock/handler-sdk";

/**
 * Handlers of the world outside, which is the test: it hears of every call and may keep its answer back. The text of a
 * message tells a transactional one to be slow, e.g. `slow 500`, so that a test can act while a batch is under way.
 */
async function call(path: string, eventId: string, { attempt, idempotencyKey, signal }: EffectContext) {
  const response = await fetch(new URL(path, process.env["OUTSIDE_URL"]), {
    method: "POST",
    body: JSON.stringify({ eventId, attempt, idempotencyKey }),
    signal,
  });
  if (response.status === 410) throw new PermanentError("gone");
  if (!response.ok) throw new Error(`answered ${response.status}`);
  return response.text();
}

const outside = (name: string, concurrency: number) =>
  defineHandler({
    kind: "effect",
    name,
    on: ["message.received"],
    concurrency,
    timeoutMs: 60_000,
    retry: { attempts: 5, baseMs: 50, capMs: 50 },
    handle: async (event, ctx) => void (await ctx.once("call", () => call(name, event.id, ctx))),
  });

const slow = defineHandler({
  name: "slow",
  on: ["message.received"],
  async handle({ data }, { log }) {
    const [order, argument] = (data.body ?? "").split(" ");
    if (order !== "slow") return;
    log.info({ order }, "handling");
    await new Promise((resolve) => setTimeout(resolve, Number(argument)));
  },
});

export default defineConfig({ handlers: [slow, outside("mail", 2), outside("notify", 4)] });
