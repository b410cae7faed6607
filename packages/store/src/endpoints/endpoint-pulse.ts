import { ENDPOINT_PREFIX } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import type { DeliveryStateName } from "../deliveries/delivery-filter.ts";

/** How the last deliveries of an endpoint have fared. */
export interface EndpointPulse {
  readonly id: string;
  /** The states of its last deliveries, the oldest first. */
  readonly states: readonly DeliveryStateName[];
  /** Of those that have succeeded: milliseconds from the receipt of the event, half of them and 99 of 100; null without any. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** When the last one succeeded that is among them. */
  readonly lastSuccessAt: string | null;
}

const LOOKED_AT = 100;

const READ = statement({
  rows: {
    id: "text",
    states: column<DeliveryStateName[]>("text[]"),
    p50: "float8?",
    p99: "float8?",
    lastSuccessAt: "timestamptz?",
  },
  text: sql`
    SELECT id, states, p50, p99, "lastSuccessAt"
      FROM unnest(${{ ids: "text[]" }}) AS wanted (id),
           LATERAL (
             SELECT array_agg(state ORDER BY day, seq) AS states,
                    percentile_disc(0.5) WITHIN GROUP (ORDER BY took_ms) AS p50,
                    percentile_disc(0.99) WITHIN GROUP (ORDER BY took_ms) AS p99,
                    max(changed_at) FILTER (WHERE state = 'succeeded') AS "lastSuccessAt"
               FROM (SELECT d.day, d.seq, d.state, d.changed_at,
                            CASE WHEN d.state = 'succeeded'
                                 THEN greatest(0, extract(epoch FROM d.changed_at - e.received_at) * 1000)::float8 END AS took_ms
                       FROM (SELECT day, seq, state, changed_at FROM penstock.deliveries
                              WHERE subscriber = wanted.id AND starts_with(subscriber, '${ENDPOINT_PREFIX}')
                              ORDER BY day DESC, seq DESC LIMIT ${LOOKED_AT}) AS d,
                            LATERAL (SELECT received_at FROM penstock.events WHERE day = d.day AND seq = d.seq LIMIT 1) AS e
                    ) AS lately) AS pulse
     WHERE states IS NOT NULL`,
});

/** How the last hundred deliveries of each of these endpoints have fared; of one without any there is nothing. */
export async function readEndpointPulses(store: Store, ids: readonly string[]): Promise<EndpointPulse[]> {
  const { rows } = await query(store.pool, READ, { ids });
  return rows.map(({ id, states, p50, p99, lastSuccessAt }) => ({
    id,
    states,
    p50Ms: p50,
    p99Ms: p99,
    lastSuccessAt: lastSuccessAt?.toISOString() ?? null,
  }));
}
