import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import type { DeliveryStateName } from "./delivery-filter.ts";
import { recordEnd } from "./record-end.ts";
import type { DeliveryCursor } from "./list-deliveries.ts";
import { sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { type AuditEntry, recordAudit } from "../operators/audit-log.ts";
import { lockLanes, wakeLanes } from "./wake-lanes.ts";

/** What an operator can do with deliveries. */
export type DeliveryChange = "retry" | "skip" | "cancel";

/** The states that each change starts from. A running delivery belongs to its worker, which alone may write the result. */
export const CHANGEABLE: Readonly<Record<DeliveryChange, readonly DeliveryStateName[]>> = {
  retry: ["retrying", "dead", "skipped", "cancelled"],
  skip: ["pending", "retrying", "dead"],
  cancel: ["pending", "retrying"],
};

const SET: Readonly<Record<DeliveryChange, string>> = {
  // With all attempts anew; attempts that are on record stay.
  retry:
    "state = 'pending', attempts = 0, interruptions = 0, next_attempt_at = now(), late = false, skip_reason = NULL",
  skip: "state = 'skipped', next_attempt_at = NULL, skip_reason = NULL",
  cancel: "state = 'cancelled', next_attempt_at = NULL",
};

/** The outcome that each change puts on record. */
const DONE: Readonly<Record<DeliveryChange, string>> = { retry: "retried", skip: "skipped", cancel: "cancelled" };

/** Deliveries to a deleted endpoint are not retried, since nobody would run them; nor those of events that were erased. */
const ONLY: Readonly<Record<DeliveryChange, string>> = {
  retry: `(NOT starts_with(d.subscriber, '${ENDPOINT_PREFIX}') OR EXISTS (SELECT FROM penstock.endpoints WHERE id = d.subscriber))
          AND (SELECT problem FROM penstock.events e WHERE e.day = d.day AND e.seq = d.seq) IS DISTINCT FROM 'erased'`,
  skip: "true",
  cancel: "true",
};

const WANTED = sql`
  (SELECT * FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]" }}) AS w (day, seq, subscriber)) AS wanted`;

const changeBy = (change: DeliveryChange) =>
  statement({
    rows: { day: "text", seq: "int8", subscriber: "text" },
    text: sql`
      WITH before AS MATERIALIZED (
        SELECT d.* FROM ${WANTED} JOIN penstock.deliveries d
            ON d.day = wanted.day AND d.seq = wanted.seq AND d.subscriber = wanted.subscriber
         WHERE d.state = ANY(${{ changeable: "text[]" }}) AND ${ONLY[change]} FOR UPDATE OF d
      ), kept AS (${recordEnd("before d")}
      ), noted AS (
        INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, worker, replay_id)
        SELECT day, seq, subscriber, attempts, now(), now(), ${{ done: "text", by: "text" }}, replay_id FROM before
      )
      UPDATE penstock.deliveries d SET ${SET[change]}, changed_at = now() FROM before b
       WHERE d.day = b.day AND d.seq = b.seq AND d.subscriber = b.subscriber
      RETURNING d.day::text, d.seq, d.subscriber`,
  });
const CHANGE = { retry: changeBy("retry"), skip: changeBy("skip"), cancel: changeBy("cancel") };

const LANES_OF = statement({
  rows: { subscriber: "text", lane: "text" },
  text: sql`
    SELECT DISTINCT d.subscriber, d.lane FROM ${WANTED}
      JOIN penstock.deliveries d ON d.day = wanted.day AND d.seq = wanted.seq AND d.subscriber = wanted.subscriber
     WHERE d.lane IS NOT NULL`,
});

/**
 * Changes deliveries whose state allows the change, and resolves to the changed ones. Skips deliveries that a worker has just
 * claimed, and retries of deleted endpoints. Wakes lanes that waited for one of the deliveries. Each is put on record, with `by`: what did it, for people. Those that were changed
 * make one entry of the audit log.
 */
export async function changeDeliveries(
  store: Store,
  change: DeliveryChange,
  deliveries: readonly DeliveryCursor[],
  { actor, by = `deliveries ${change}` }: { readonly actor: string; readonly by?: string },
): Promise<DeliveryCursor[]> {
  if (deliveries.length === 0) return [];
  const wanted = {
    days: deliveries.map(({ day }) => day),
    seqs: deliveries.map(({ seq }) => seq),
    subscribers: deliveries.map(({ subscriber }) => subscriber),
  };
  return transaction(store, async (client) => {
    // Before the deliveries, in the order in which a claim takes them.
    const { rows: lanes } = await query(client, LANES_OF, wanted);
    await lockLanes(client, lanes);
    const values = { ...wanted, changeable: CHANGEABLE[change], done: DONE[change], by };
    const { rows } = await query(client, CHANGE[change], values);
    await wakeLanes(client, lanes);
    const changed = rows.map(({ seq, ...row }) => ({ ...row, seq: Number(seq) }));
    if (changed.length > 0) await recordAudit(client, toAudit(change, changed, { actor, by }));
    return changed;
  });
}

/** Of more deliveries than these the audit log has the number, and the records of attempts have the rest. */
const NAMED = 20;

function toAudit(
  change: DeliveryChange,
  changed: readonly DeliveryCursor[],
  { actor, by }: { readonly actor: string; readonly by: string },
): AuditEntry {
  const names = changed.slice(0, NAMED).map(({ seq, subscriber }) => `seq:${seq} ${subscriber}`);
  const target = changed.length === 1 ? (names[0] ?? "") : `${changed.length} deliveries`;
  return { actor, action: `deliveries.${change}`, target, detail: { by, deliveries: changed.length, first: names } };
}
