/** Why no delivery of a subscriber is started, even when it is due. */
export type HeldBy = "paused" | "disabled";

/**
 * SQL: a lateral query of a subscriber, for one row or none: `held_by`, `parked_until` (until when the circuit of an endpoint is open),
 * and the order of its lanes. Looked up row by row, since a join would read all deliveries first.
 */
export const subscriberOf = (name: string): string => `
  (SELECT h.on_dead, h.lane_order, e.parked_until,
          CASE WHEN e.disabled_at IS NOT NULL THEN 'disabled' WHEN h.paused_at IS NOT NULL THEN 'paused' END AS held_by
     FROM penstock.handlers h LEFT JOIN penstock.endpoints e ON e.id = h.name
    WHERE h.name = ${name} LIMIT 1)`;

/** SQL: when a delivery is tried next, which is not before its endpoint's circuit is half open. */
export const nextAttemptOf = (delivery: string, subscriber: string): string =>
  `CASE WHEN ${delivery}.next_attempt_at < ${subscriber}.parked_until
        THEN ${subscriber}.parked_until ELSE ${delivery}.next_attempt_at END`;
