/** Why nothing of a subscriber is started, whatever is due. */
export type HeldBy = "paused" | "disabled";

/**
 * What a subscriber lets be started: `held_by`, `parked_until` (an endpoint that is left alone for a while), and the order of
 * its lanes. A lateral query of one row or none; looked up row by row, since a join would read all deliveries first.
 */
export const subscriberOf = (name: string): string => `
  (SELECT h.on_dead, h.lane_order, e.parked_until,
          CASE WHEN e.disabled_at IS NOT NULL THEN 'disabled' WHEN h.paused_at IS NOT NULL THEN 'paused' END AS held_by
     FROM penstock.handlers h LEFT JOIN penstock.endpoints e ON e.id = h.name
    WHERE h.name = ${name} LIMIT 1)`;

/** When a delivery is tried, which is not before its endpoint is. */
export const nextAttemptOf = (delivery: string, subscriber: string): string =>
  `CASE WHEN ${delivery}.next_attempt_at < ${subscriber}.parked_until
        THEN ${subscriber}.parked_until ELSE ${delivery}.next_attempt_at END`;
