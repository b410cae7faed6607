import { SKIPPED_WHILE_DISABLED } from "@penstock/schemas";
import type { Store } from "../connection/create-store.ts";
import { type Changes, changeAllDeliveries } from "../deliveries/change-all-deliveries.ts";

/**
 * Has delivered, with all tries and under the same webhook-id, what has failed for good and what was skipped while the
 * endpoint was disabled. A stop leaves the rest as it is, and counts it.
 */
export async function recoverEndpoint(
  store: Store,
  id: string,
  { actor, since, stop }: { readonly actor: string; readonly since?: Date | undefined; readonly stop: AbortSignal },
): Promise<Changes> {
  const filter = { handler: id, ...(since && { since }) };
  const options = { actor, stop, by: "endpoints recover" };
  const dead = await changeAllDeliveries(store, "retry", { ...filter, state: "dead" }, options);
  const skipped = await changeAllDeliveries(
    store,
    "retry",
    { ...filter, state: "skipped" },
    { ...options, isMeant: ({ skipReason }) => skipReason === SKIPPED_WHILE_DISABLED },
  );
  return { changed: dead.changed + skipped.changed, left: dead.left + skipped.left };
}
