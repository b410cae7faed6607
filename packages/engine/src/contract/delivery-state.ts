/**
 * The states of a delivery. Every arrow is one statement in packages/store, named here, and its WHERE is what keeps the
 * others from being: `packages/engine/test/delivery-states.test.ts` tries each from each state.
 *
 * - Made by the transaction of a batch (`recordAtCommit`): `succeeded`, `retrying` or `dead` where the handler ran in it;
 *   `pending` where it did not, since it is an effect handler, has lanes, is paused, was demoted, or is not this worker's.
 *   Of an endpoint (`recordEndpointDeliveries`): `pending`, or `skipped` while it is disabled.
 * - `pending`, `retrying` → `running`, once due and while the handler is not paused: claimed by a worker under a lease, with
 *   a token that only it knows, and the attempt is counted (`claimDeliveries`). Of a lane only the head, and none while
 *   another of it runs (`claimLanes`). Effect handlers and endpoints claim by both, with the events (`claimForOutside`).
 * - `running` → `succeeded`, `retrying`, `dead` (`finishDeliveries`): the result. → `pending` by the same, with no attempt
 *   counted: an event of a type that this worker's version of the handler does not know, or one that takes its place in a
 *   lane only now. → `pending`, or `retrying` after earlier tries, with no attempt counted: it shared a transaction and had no
 *   turn there, since the handler's time was used up or all before it failed. Where the token matches, only. Of endpoints
 *   also → `skipped`: a replay's, which the filter does not let through.
 * - `running` → `pending`, or `retrying` after earlier tries (`releaseDeliveries`): handed back with no attempt counted, by a
 *   worker that stops, after an outage, where the claim's answer got lost (`releaseClaim`), or where it shared a transaction that was lost. Where the token matches, only.
 * - `running` → `retrying`, `dead` (`reclaimDeliveries`): its lease ran out, so its worker has vanished. An `interrupted`
 *   attempt; the third one is the last.
 * - `pending`, `retrying` → `skipped` (`claimLanes`): overtaken in a lane where the newest wins.
 * - An operator (`changeDeliveries`) makes `retrying`, `dead`, `skipped`, `cancelled` `pending` again with all tries; `pending`,
 *   `retrying`, `dead` `skipped`; `pending`, `retrying` `cancelled`. What runs is its worker's alone.
 *
 * - A replay (`nextReplayPage`) makes `succeeded`, `dead`, `skipped`, `cancelled` `pending` again with all tries, and makes
 *   `pending` ones where there was none. Cancelled (`cancelReplay`), it puts back or removes what was not begun, and makes
 *   what is between two tries `cancelled`.
 *
 * Whatever leaves an end behind (an operator's retry, a replay) puts on record how it had ended, where no attempt says so
 * (`keepEnd`); what an operator does is an entry beside the attempts.
 *
 * `succeeded` is left by nothing else, and the token is gone with every arrow that leaves `running`: a worker that
 * was stopped and wakes up late finds that it no longer matches, and writes nothing.
 */
export type DeliveryState = "pending" | "running" | "succeeded" | "retrying" | "dead" | "skipped" | "cancelled";
