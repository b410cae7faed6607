import {
  type Changes,
  type DeliveryChange,
  type DeliveryDetail,
  type DeliveryFilter,
  type DeliveryRow,
  dismissQuarantined,
  type EventPointer,
  listDeliveries,
  showDeliveries,
  type Store,
} from "@penstock/store";
import { changeAll, untilStopped } from "../change-all.ts";
import type { CliContext } from "../cli-context.ts";
import { type Call, readPages, unless, withTimes } from "./answers.ts";

export interface DeliveryOperations {
  listDeliveries(filter: DeliveryFilter, page: { readonly limit: number }): Promise<readonly DeliveryRow[]>;
  showDeliveries(wanted: { readonly event: string; readonly handler?: string }): Promise<readonly DeliveryDetail[]>;
  /** Changes all that match; the first Ctrl-C leaves the rest. */
  changeDeliveries(change: DeliveryChange, filter: DeliveryFilter): Promise<Changes>;
  /** False when the event is not in quarantine, or was dismissed before. */
  dismissQuarantined(event: EventPointer): Promise<boolean>;
}

export const deliveriesInStore = (store: Store, ctx: CliContext): DeliveryOperations => ({
  listDeliveries: (filter, page) => listDeliveries(store, filter, page),
  showDeliveries: (wanted) => showDeliveries(store, wanted),
  changeDeliveries: (change, filter) => changeAll(store, ctx, change, filter),
  dismissQuarantined: (event) => dismissQuarantined(store, event, ctx.actor),
});

export const deliveriesByApi = (call: Call, ctx: CliContext): DeliveryOperations => ({
  listDeliveries: (filter, { limit }) =>
    readPages(limit, (page) => call("GET /deliveries", { query: { ...withTimes(filter), ...page } })),
  showDeliveries: async (query) => (await call("GET /deliveries/details", { query })).items,
  changeDeliveries: (change, filter) =>
    changeByApi(ctx, () => call("POST /deliveries/{change}", { path: { change }, body: withTimes(filter) })),
  dismissQuarantined: async ({ seq }) =>
    (await unless(
      [409],
      call("POST /quarantine/{seq}/dismiss", { path: { seq } }).then(() => true),
    )) ?? false,
});

/** One request changes what it can in ten seconds: asks again until nothing is left, or the user stops it. */
export function changeByApi(
  ctx: CliContext,
  ask: () => Promise<{ readonly deliveries: number; readonly left: number }>,
): Promise<Changes> {
  return untilStopped(ctx, async () => {
    for (let changed = 0; ;) {
      const { deliveries, left } = await ask();
      changed += deliveries;
      if (left === 0 || deliveries === 0 || ctx.stop.aborted) return { changed, left };
    }
  });
}
