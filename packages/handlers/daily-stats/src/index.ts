import {
  defineHandler,
  type EventType,
  type HandlerContext,
  parseOptions,
  type TransactionalHandler,
} from "@penstock/handler-sdk";
import { BUZZBIP_EVENT_TYPES } from "@penstock/schemas";
import { z } from "zod";
import { countEvents } from "./count-events.ts";
import * as counts from "./migrations/0001-counts.ts";
import type { Tables } from "./tables.ts";

export type { Tables } from "./tables.ts";

/** What penstock.config.ts says of it; nothing of it is needed. */
export interface Options {
  /** Its name, and that of its schema; `daily-stats` unless given. */
  readonly name?: string;
  /** The event types that are counted; BuzzBip's eight unless given. */
  readonly on?: readonly EventType[];
}

const schema = z.strictObject({ name: z.string().default("daily-stats"), on: z.array(z.string()).optional() });

/**
 * Counts events per hour, source, type and channel; see the README.
 *
 * @throws HandlerDefinitionError with all that is wrong with the options.
 */
export default function dailyStats(options: Options = {}): TransactionalHandler<EventType, Tables> {
  const { name } = parseOptions("daily-stats", schema, options);
  return defineHandler({
    name,
    on: options.on ?? BUZZBIP_EVENT_TYPES,
    migrations: { "0001-counts": { up: counts.up } },
    handle: (event, ctx: HandlerContext<Tables>) => countEvents([event], ctx.tx),
    handleBatch: (events, ctx) => countEvents(events, ctx.tx),
    // Counts say nothing of a person.
    erase: () => undefined,
  });
}
