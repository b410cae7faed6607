import type { NewEvent } from "@penstock/intake";
import { packBatch } from "./batch-format.ts";
import { query, type Queryable, type Store } from "../connection/create-store.ts";
import { DatabaseUnavailableError } from "../connection/errors.ts";
import { ensurePartitions, isMissingPartition } from "../schema/partitions.ts";
import { sql, statement } from "../connection/sql.ts";

// The number is drawn after the transaction has its xid (the select list is evaluated from left to right): see
// tail-events.ts.
const INSERT = statement({
  name: "penstock-insert-batch",
  rows: { batch: "text" },
  text: sql`
    WITH given AS MATERIALIZED (
      SELECT pg_current_xact_id() AS xid, nextval('penstock.batch_number') AS batch,
             (now() AT TIME ZONE 'UTC')::date AS day
    ), stored AS (
      INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies, arrivals)
      SELECT day, batch, now(), ${{ events: "int4", meta: "text", bodies: "bytea", arrivals: "text?" }} FROM given
    )
    INSERT INTO penstock.pending (batch, day, events, bytes, accepted_at)
    SELECT batch, day, ${{ events: "int4" }}, octet_length(${{ bodies: "bytea" }}), now() FROM given
    RETURNING batch::text`,
});

/**
 * Stores events as one pending batch, and resolves to its number. The worker finds duplicates.
 *
 * @throws RangeError for no events, or too many for one batch.
 */
export async function insertBatch(db: Queryable, events: readonly NewEvent[]): Promise<number> {
  const { rows } = await query(db, INSERT, packBatch(events));
  return Number(rows[0]?.batch);
}

/**
 * Commits events as one batch, as {@link insertBatch} does.
 *
 * @throws DatabaseUnavailableError when Postgres is away or today's partition cannot be made. The outcome is unknown then, and
 *   events that are sent again are found to be duplicates.
 */
export async function commitBatch(store: Store, events: readonly NewEvent[]): Promise<number> {
  try {
    return await insertBatch(store.pool, events);
  } catch (error) {
    if (!isMissingPartition(error)) throw error;
    // No process has made partitions for a week: make them here rather than refuse a signed event.
    await ensurePartitions(store).catch(failWithoutPartition);
    return insertBatch(store.pool, events);
  }
}

/** Wraps errors for which no event is to blame: senders are to try again. */
function failWithoutPartition(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new DatabaseUnavailableError(`today's partition is missing and cannot be made: ${reason}`, { cause });
}
