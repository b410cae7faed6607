import type { EventOf, EventType } from "@penstock/handler-sdk";
import { sql, type Transaction } from "kysely";
import type { Tables } from "./tables.ts";

/** The longest channel that is kept apart: it is part of an index, and a provider may send anything. */
const MAX_CHANNEL_LENGTH = 64;

/**
 * Counts events, each once however often it comes, with one statement for all of them.
 *
 * Both tables are written in the order of their keys: two transactions that lock the same rows in different orders would
 * wait for each other.
 */
export async function countEvents(events: readonly EventOf<EventType>[], tx: Transaction<Tables>): Promise<void> {
  await sql`
    WITH said AS (
      SELECT * FROM unnest(
        ${events.map(({ seq }) => seq)}::bigint[],
        ${events.map((event) => hourOf(event).toISOString())}::timestamptz[],
        ${events.map(({ source }) => source)}::text[],
        ${events.map(({ type }) => type)}::text[],
        ${events.map(channelOf)}::text[]
      ) AS said (seq, hour, source, type, channel)
    ), fresh AS (
      INSERT INTO counted (seq, hour) SELECT seq, hour FROM said ORDER BY seq ON CONFLICT DO NOTHING RETURNING seq
    )
    INSERT INTO hourly AS h (hour, source, type, channel, events)
    SELECT hour, source, type, channel, count(*) FROM said JOIN fresh USING (seq)
     GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (hour, source, type, channel) DO UPDATE SET events = h.events + excluded.events`.execute(tx);
}

/** By the provider's clock, which is not believed where it is ahead of ours. */
function hourOf({ createdAt, receivedAt }: EventOf<EventType>): Date {
  const hour = new Date(Math.min(createdAt.getTime(), receivedAt.getTime()));
  hour.setUTCMinutes(0, 0, 0);
  return hour;
}

/** What the event says that it came by, as far as Postgres can store it; empty where it says nothing. */
function channelOf({ data }: EventOf<EventType>): string {
  const channel: unknown = typeof data === "object" && data !== null && "channel" in data ? data.channel : null;
  if (typeof channel !== "string") return "";
  return channel.slice(0, MAX_CHANNEL_LENGTH).replaceAll("\0", "\uFFFD").toWellFormed();
}
