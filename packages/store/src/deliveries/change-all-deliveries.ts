import type { Store } from "../connection/create-store.ts";
import { CHANGEABLE, changeDeliveries, type DeliveryChange } from "./change-deliveries.ts";
import type { DeliveryFilter } from "./delivery-filter.ts";
import { type DeliveryRow, listDeliveries } from "./list-deliveries.ts";

const PAGE = 1_000;
/** What a stop leaves is counted up to this; more is told as such. */
const COUNTED = 10_000;

/** How many deliveries were changed, and how many match that were not reached before a stop. */
export interface Changes {
  readonly changed: number;
  /** Up to ten thousand or so. */
  readonly left: number;
}

/**
 * Changes all deliveries that match, page by page, each page in a transaction of its own. When it is told to stop it ends the
 * page under way, and counts what is left. `by` is what stands on record; `isMeant` sorts out what a filter cannot.
 */
export async function changeAllDeliveries(
  store: Store,
  change: DeliveryChange,
  filter: DeliveryFilter,
  {
    actor,
    by,
    stop,
    isMeant = () => true,
  }: {
    readonly actor: string;
    readonly by?: string;
    readonly stop: AbortSignal;
    readonly isMeant?: (row: DeliveryRow) => boolean;
  },
): Promise<Changes> {
  let changed = 0;
  let left = 0;
  for (let after: DeliveryRow | undefined; left < COUNTED;) {
    const page: DeliveryRow[] = await listDeliveries(store, filter, { limit: PAGE, ...(after && { after }) });
    const meant = page.filter((row) => CHANGEABLE[change].includes(row.state) && isMeant(row));
    if (stop.aborted) left += meant.length;
    else changed += (await changeDeliveries(store, change, meant, { actor, ...(by !== undefined && { by }) })).length;
    after = page.at(-1);
    if (after === undefined || page.length < PAGE) break;
  }
  return { changed, left };
}
