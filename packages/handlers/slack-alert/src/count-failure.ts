import type { EventOf } from "@penstock/handler-sdk";
import { sql, type Transaction } from "kysely";
import type { Example, Tables } from "./tables.ts";

/** When there is an alert, and of what. */
export interface Limits {
  readonly threshold: number;
  readonly windowMs: number;
  readonly cooldownMs: number;
  readonly maxAgeMs: number;
}

/** What an alert says. It is recorded, so it is plain JSON. */
export interface Alert {
  /** Within the window. */
  readonly failed: number;
  /** The window's end, in milliseconds since 1970: when the last of them failed. */
  readonly untilMs: number;
  /** From the most frequent on, three at most, each with an example. */
  readonly reasons: readonly {
    readonly reason: string;
    readonly message: string | null;
    readonly failed: number;
    readonly example: Example;
  }[];
  readonly channels: readonly { readonly channel: string; readonly failed: number }[];
}

type Failed = EventOf<"message.failed">;

const seconds = (ms: number) => sql`make_interval(secs => ${ms / 1_000}::float8)`;

/**
 * Counts a message that failed, and says what to tell when that makes it too many: as many as the threshold within a window,
 * and the last alert is longer ago than the cool-down. All of it by the times at which messages failed, so it does not matter
 * how late, in which order and by which worker they are counted.
 */
export async function countFailure(event: Failed, tx: Transaction<Tables>, limits: Limits): Promise<Alert | null> {
  const { threshold, windowMs, cooldownMs, maxAgeMs } = limits;
  // A clock that is ahead is not believed: it would begin a cool-down that lasts until then.
  const failedAt = new Date(Math.min(event.createdAt.getTime(), event.receivedAt.getTime()));
  // eslint-disable-next-line no-restricted-properties -- the age of a failure is told by the time of day
  if (Date.now() - failedAt.getTime() > maxAgeMs) return null;

  // One at a time: two workers that count side by side would each miss the other's, and nobody would tell of the fifth.
  const { rows: last } = await sql<{ resting: boolean }>`
    SELECT ${failedAt}::timestamptz < at + ${seconds(cooldownMs)} AS resting FROM last_alert FOR UPDATE`.execute(tx);
  const added = await tx
    .insertInto("failures")
    .values({ seq: event.seq, failed_at: failedAt, ...describe(event) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (added.numInsertedOrUpdatedRows === 0n) return null; // done anew by an operator: it counts once
  await sql`DELETE FROM failures WHERE failed_at < now() - ${seconds(maxAgeMs + windowMs)}`.execute(tx);
  if (last[0]?.resting !== false) return null;

  // The windows that this one is in; it may have come late, so there may be later ones in them.
  const { rows: full } = await sql<{ until: Date }>`
    SELECT failed_at AS until
      FROM (SELECT failed_at,
                   count(*) OVER (ORDER BY failed_at RANGE BETWEEN ${seconds(windowMs)} PRECEDING AND CURRENT ROW) AS failed
              FROM failures
             WHERE failed_at BETWEEN ${failedAt}::timestamptz - ${seconds(windowMs)}
                                 AND ${failedAt}::timestamptz + ${seconds(windowMs)}) AS windows
     WHERE failed >= ${threshold} AND failed_at >= ${failedAt}
     ORDER BY failed_at DESC LIMIT 1`.execute(tx);
  const until = full[0]?.until;
  if (until === undefined) return null;
  await tx.updateTable("last_alert").set({ at: until }).execute();
  return describeWindow(tx, until, windowMs);
}

async function describeWindow(tx: Transaction<Tables>, until: Date, windowMs: number): Promise<Alert> {
  const inWindow = sql`failed_at BETWEEN ${until}::timestamptz - ${seconds(windowMs)} AND ${until}`;
  const { rows: reasons } = await sql<Alert["reasons"][number] & { of: number }>`
    SELECT reason, count(*)::int AS failed, (array_agg(message ORDER BY failed_at DESC, seq DESC))[1] AS message,
           (array_agg(example ORDER BY failed_at DESC, seq DESC))[1] AS example, sum(count(*)) OVER ()::int AS of
      FROM failures WHERE ${inWindow} GROUP BY reason ORDER BY failed DESC, reason LIMIT 3`.execute(tx);
  const { rows: channels } = await sql<Alert["channels"][number]>`
    SELECT channel, count(*)::int AS failed FROM failures WHERE ${inWindow} AND channel IS NOT NULL
     GROUP BY channel ORDER BY failed DESC, channel LIMIT 5`.execute(tx);
  return {
    failed: reasons[0]?.of ?? 0,
    untilMs: until.getTime(),
    reasons: reasons.map(({ reason, message, failed, example }) => ({ reason, message, failed, example })),
    channels,
  };
}

function describe({ id, source, data }: Failed) {
  const { messageId, conversationId, contactId, channel, error } = data;
  const example: Example = { source, eventId: storable(id), messageId, conversationId, contactId };
  return {
    reason: storable(String(error?.code ?? error?.message ?? "no reason given")),
    message: error?.message == null ? null : storable(error.message),
    channel: channel == null ? null : storable(channel),
    example: JSON.stringify(example),
  };
}

/** As far as an alert shows it and Postgres can keep it. */
function storable(text: string): string {
  return text.slice(0, 200).replaceAll("\0", "\uFFFD").toWellFormed();
}
