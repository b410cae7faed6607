import {
  changeDeliveries,
  type DeliveryChange,
  type DeliveryFilter,
  type DeliveryRow,
  listDeliveries,
  type Store,
} from "@penstock/store";
import type { CliContext } from "./cli-context.ts";

const PAGE = 1_000;

/**
 * Changes all deliveries that match, page by page, and stops between two pages when it is told to; returns how many. `by` is
 * the command that stands on record; `isMeant` sorts out what a filter cannot.
 */
export async function changeAll(
  store: Store,
  { stop }: Pick<CliContext, "stop">,
  change: DeliveryChange,
  filter: DeliveryFilter,
  { by, isMeant = () => true }: { readonly by?: string; readonly isMeant?: (row: DeliveryRow) => boolean } = {},
): Promise<number> {
  let count = 0;
  for (let after: DeliveryRow | undefined; !stop.aborted;) {
    const page: DeliveryRow[] = await listDeliveries(store, filter, { limit: PAGE, ...(after && { after }) });
    count += (await changeDeliveries(store, change, page.filter(isMeant), by === undefined ? {} : { by })).length;
    after = page.at(-1);
    if (after === undefined || page.length < PAGE) break;
  }
  return count;
}
