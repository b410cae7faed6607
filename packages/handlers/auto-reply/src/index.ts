import {
  defineHandler,
  type EffectContext,
  type EffectEraseContext,
  type EffectHandler,
  type ErasedSubject,
  type EventOf,
  fetchOk,
  fillUrl,
  type FromEnvironment,
  parseOptions,
  PermanentError,
  type RateLimit,
} from "@penstock/handler-sdk";
import { type BusinessHours, isOpen, toLocalTime } from "./business-hours.ts";
import { claimDay, releaseDay } from "./claim-day.ts";
import * as replied from "./migrations/0001-replied.ts";
import { optionsSchema } from "./options-schema.ts";
import type { Tables } from "./tables.ts";

export type { Tables } from "./tables.ts";

/** A message to answer. */
export type Received = EventOf<"message.received">;

/** What penstock.config.ts says of it. */
export interface Options extends Pick<BusinessHours, "timeZone" | "hours"> {
  /** Where a reply is posted; `{conversationId}` can stand in it. */
  readonly url: string | FromEnvironment;
  /** Headers of the request, e.g. `{ authorization: env("BUZZBIP_AUTHORIZATION") }`. */
  readonly headers?: Readonly<Record<string, string | FromEnvironment>>;
  /** What is replied, or what makes it from the message. */
  readonly text: string | ((event: Received) => string);
  /** What is posted, as JSON; conversation, contact, channel and text unless given. */
  readonly toBody?: (event: Received, text: string) => object;
  /** Days that are closed: `2026-12-24`, or of every year `12-25`; none unless given. */
  readonly holidays?: readonly string[];
  /** A message that is older than this is not answered (any more), in milliseconds; 900,000 (15 minutes) unless given, a day at most. */
  readonly maxAgeMs?: number;
  /** Over all workers; 10 per second unless given. */
  readonly rateLimit?: RateLimit;
  /** How long one request may take, in milliseconds; 10,000 unless given. */
  readonly timeoutMs?: number;
  /** Its name; `auto-reply` unless given. */
  readonly name?: string;
}

/**
 * Answers messages that come out of business hours, once per conversation and local day; see the README.
 *
 * @throws HandlerDefinitionError with all that is wrong with the options.
 */
export default function autoReply(options: Options): EffectHandler<"message.received", Tables> {
  const { name, url, headers, timeZone, hours, holidays, maxAgeMs, rateLimit, timeoutMs } = parseOptions(
    "auto-reply",
    optionsSchema,
    options,
  );
  const { text, toBody = bodyOf } = options;
  // eslint-disable-next-line no-restricted-properties -- the age of an event is told by the time of day
  const isOld = (event: Received): boolean => Date.now() - cameAt(event).getTime() > maxAgeMs;

  return defineHandler({
    kind: "effect",
    name,
    on: ["message.received"],
    migrations: { "0001-replied": { up: replied.up } },
    rateLimit,
    timeoutMs,
    // As long as the message is not too old, which is what ends it.
    retry: { attempts: 1_000, baseMs: 2_000, capMs: maxAgeMs },
    async handle(event, ctx: EffectContext<Tables>) {
      const isOurs = await ctx.transaction("claim", async (tx) => {
        if (isOld(event)) return false;
        const local = toLocalTime(cameAt(event), timeZone);
        return !isOpen(local, { timeZone, hours, holidays }) && claimDay(event, local.day, tx);
      });
      if (!isOurs) return;
      try {
        await ctx.once("reply", async () => {
          if (isOld(event)) throw new PermanentError(`it could not be answered within maxAgeMs (${maxAgeMs})`);
          const said = typeof text === "string" ? text : text(event);
          const response = await fetchOk(fillUrl(url, { conversationId: event.data.conversationId }), {
            method: "POST",
            headers: { "content-type": "application/json", "idempotency-key": ctx.idempotencyKey, ...headers },
            body: JSON.stringify(toBody(event, said)),
            signal: ctx.signal,
          });
          await response.body?.cancel();
        });
      } catch (error) {
        // Nobody was answered, so the conversation's next message is.
        if (error instanceof PermanentError) await ctx.transaction("release", (tx) => releaseDay(event, tx));
        throw error;
      }
    },
    // What is kept of a person is the id of a conversation.
    erase: ({ value }: ErasedSubject, ctx: EffectEraseContext<Tables>) =>
      ctx.transaction(async (tx) => {
        await tx.deleteFrom("replied").where("conversation_id", "=", value).execute();
      }),
  });
}

/** By the provider's clock, which is not believed where it is ahead of ours. */
function cameAt({ createdAt, receivedAt }: Received): Date {
  return createdAt < receivedAt ? createdAt : receivedAt;
}

function bodyOf({ data: { conversationId, contactId, channel } }: Received, text: string): object {
  return { conversationId, contactId, ...(channel == null ? {} : { channel }), text };
}
