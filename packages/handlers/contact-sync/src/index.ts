import { createHash } from "node:crypto";
import {
  defineHandler,
  type EffectEraseContext,
  type ErasedSubject,
  type EffectHandler,
  type EventOf,
  fetchOk,
  fillUrl,
  type FromEnvironment,
  parseOptions,
  type RateLimit,
} from "@penstock/handler-sdk";
import { optionsSchema } from "./options-schema.ts";

/** An event about a contact. */
export type ContactEvent = EventOf<"contact.created" | "contact.updated">;

/** What penstock.config.ts says of it. */
export interface Options {
  /** Where a contact is written, e.g. `https://crm.example/v1/contacts/{contactId}`; `{source}` can stand in it, too. */
  readonly url: string | FromEnvironment;
  /** Headers of each request, e.g. `{ authorization: env("CRM_AUTHORIZATION") }`. */
  readonly headers?: Readonly<Record<string, string | FromEnvironment>>;
  /** `PUT` unless given. */
  readonly method?: "PUT" | "PATCH" | "POST";
  /** What is sent, as JSON; all that the event says of the contact unless given. */
  readonly toRecord?: (event: ContactEvent) => object;
  /** `newest-wins` unless given; `strict` sends every event, in order. */
  readonly order?: "newest-wins" | "strict";
  /**
   * How a person is erased there (`penstock erase --subject`): a DELETE of the URL unless given; `null` leaves it to you, and the
   * report of an erasure says so.
   */
  readonly erase?: "DELETE" | null;
  /** Over all workers; 10 per second unless given. */
  readonly rateLimit?: RateLimit;
  /** How long one request may take, in milliseconds; 10,000 unless given. */
  readonly timeoutMs?: number;
  /** Its name; `contact-sync` unless given. */
  readonly name?: string;
}

/** Some 16 hours in all: an API that is down overnight costs nothing but time. */
const SCHEDULE_MS = [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000];

/**
 * Writes each contact that is created or updated to an HTTP API; see the README.
 *
 * @throws HandlerDefinitionError with all that is wrong with the options.
 */
export default function contactSync(options: Options): EffectHandler<ContactEvent["type"]> {
  const { name, url, headers, method, order, erase, rateLimit, timeoutMs } = parseOptions(
    "contact-sync",
    optionsSchema,
    options,
  );
  const { toRecord = recordOf } = options;
  return defineHandler({
    kind: "effect",
    name,
    on: ["contact.created", "contact.updated"],
    // Ids are a workspace's own.
    lane: ({ source, data }) => JSON.stringify([source, data.contactId]),
    order,
    // A contact that was refused says nothing of what comes after it.
    ...(order === "strict" && { onDead: "continue" as const }),
    rateLimit,
    timeoutMs,
    retry: { scheduleMs: SCHEDULE_MS },
    async handle(event, ctx) {
      await ctx.once("write", async () => {
        const { source, data } = event;
        const response = await fetchOk(fillUrl(url, { source, contactId: data.contactId }), {
          method,
          headers: { "content-type": "application/json", "idempotency-key": ctx.idempotencyKey, ...headers },
          body: JSON.stringify(toRecord(event)),
          signal: ctx.signal,
        });
        await response.body?.cancel();
      });
    },
    ...(erase !== null && {
      async erase({ kind, value, sources }: ErasedSubject, { signal, idempotencyKey }: EffectEraseContext) {
        // Contacts are known there by their ids alone.
        if (kind !== "subject") return;
        // In one URL for all sources, one request is enough.
        for (const contact of new Set(sources.map((source) => fillUrl(url, { source, contactId: value })))) {
          const key = `${idempotencyKey}:${contact}`;
          const response = await fetch(contact, {
            method: erase,
            headers: { "idempotency-key": createHash("sha256").update(key).digest("hex"), ...headers },
            signal,
            redirect: "manual",
          });
          await response.body?.cancel();
          // What is not there needs no erasing.
          if (!response.ok && response.status !== 404 && response.status !== 410) {
            throw new Error(`${new URL(contact).host} answered the DELETE of a contact with ${response.status}`);
          }
        }
      },
    }),
  });
}

/** What the event says of the contact. What is missing or null says nothing, and is not sent. */
function recordOf({ createdAt, data }: ContactEvent): object {
  const said = Object.entries(data).filter(([, value]) => value !== null && value !== undefined);
  return { ...Object.fromEntries(said), updatedAt: createdAt.toISOString() };
}
