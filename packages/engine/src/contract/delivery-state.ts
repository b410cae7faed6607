/**
 * The states of a delivery. Every arrow is one statement in packages/store, named here, and the statement's WHERE rules out all
 * other arrows: `packages/engine/test/delivery-states.test.ts` tries each statement on each state.
 *
 * - The transaction of a batch makes a delivery (`recordAtCommit`): `succeeded`, `retrying` or `dead` where the handler ran in the
 *   batch; `pending` where the handler has effects or lanes, is paused or demoted, or is missing on this worker. A delivery to
 *   an endpoint (`recordEndpointDeliveries`) is `pending`, or `skipped` while the endpoint is disabled.
 * - `pending`, `retrying` → `running`, once due and while the subscriber is not paused: a worker claims the delivery under a
 *   lease, with a token that only this worker knows, and counts the attempt (`claimDeliveries`). Of a lane only the head is
 *   claimed, and none while another delivery of the lane runs (`claimLanes`). `claimForOutside` claims by both, for effect
 *   handlers and endpoints.
 * - `running` → `succeeded`, `retrying`, `dead` (`finishDeliveries`): the result, written where the token matches. The same
 *   statement writes `pending`, with no attempt counted, for an event of a type that this worker's version of the handler does
 *   not know, and for a delivery that takes its place in a lane only now. It writes `pending`, or `retrying` after earlier
 *   attempts, with no attempt counted, for a delivery that shared a transaction and did not come up there. It writes `skipped`
 *   for a delivery to an endpoint that a replay made and that the filter does not let through.
 * - `running` → `pending`, or `retrying` after earlier attempts (`releaseDeliveries`): handed back with no attempt counted, where
 *   the token matches. A worker hands back when it stops, after an outage, when a claim's answer got lost (`releaseClaim`), and
 *   when deliveries shared a transaction that was lost.
 * - `running` → `retrying`, `dead` (`reclaimDeliveries`): the lease ran out, so the worker has vanished. An `interrupted`
 *   attempt; the third one is the last.
 * - `pending`, `retrying` → `skipped` (`claimLanes`): a newer delivery of a newest-wins lane has succeeded.
 * - An operator (`changeDeliveries`): `retrying`, `dead`, `skipped`, `cancelled` → `pending`, with all attempts anew; `pending`,
 *   `retrying`, `dead` → `skipped`; `pending`, `retrying` → `cancelled`. A running delivery belongs to its worker alone.
 * - A replay (`nextReplayPage`): `succeeded`, `dead`, `skipped`, `cancelled` → `pending`, with all attempts anew; and new `pending`
 *   deliveries where there was none. A cancelled replay (`cancelReplay`) puts back or removes deliveries that were not started,
 *   and makes deliveries between two attempts `cancelled`.
 *
 * An operator's retry and a replay first put the end of a delivery on record, where no attempt tells it (`recordEnd`). What an
 * operator does is an entry beside the attempts.
 *
 * Nothing else leaves `succeeded`, and every arrow out of `running` clears the token: a worker that was frozen and wakes up
 * late finds that its token no longer matches, and writes nothing.
 */
export type DeliveryState = "pending" | "running" | "succeeded" | "retrying" | "dead" | "skipped" | "cancelled";
