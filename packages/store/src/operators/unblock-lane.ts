import type { Store } from "../connection/create-store.ts";
import { changeDeliveries } from "../deliveries/change-deliveries.ts";
import { type LaneRow, listLanes } from "../deliveries/list-lanes.ts";

/** `skipped`: the lane goes on; `lane` is as it was before. */
export type UnblockOutcome =
  | { readonly outcome: "skipped"; readonly lane: LaneRow }
  /** Its head is no dead letter. */
  | { readonly outcome: "not-dead"; readonly lane: LaneRow }
  /** Its head was another by the time that it was to be skipped. */
  | { readonly outcome: "changed"; readonly lane: LaneRow }
  | { readonly outcome: "empty" };

/** Skips the dead letter that blocks a lane: it counts as done without having been handled, and what waits behind goes on. */
export async function unblockLane(
  store: Store,
  { handler, lane }: { readonly handler: string; readonly lane: string },
  actor: string,
): Promise<UnblockOutcome> {
  const [found] = await listLanes(store, { handler, lane }, 1);
  if (found === undefined) return { outcome: "empty" };
  if (found.head.state !== "dead") return { outcome: "not-dead", lane: found };
  const changed = await changeDeliveries(store, "skip", [found.head], { actor, by: "lanes unblock" });
  return { outcome: changed.length === 0 ? "changed" : "skipped", lane: found };
}
