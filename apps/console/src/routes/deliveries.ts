import type { deliveryRoutes } from "@penstock/schemas/admin";
import {
  changeAllDeliveries,
  type DeliveryCursor,
  type DeliveryFilter,
  dismissQuarantined,
  findEvents,
  listDeliveries,
  type Store,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";
import { stopAfter } from "../api/stop-after.ts";
import { showWithTraces } from "./delivery-traces.ts";

const CURSOR = /^(\d{4}-\d\d-\d\d)\.(\d{1,16})\.(.+)$/;

export function createDeliveryHandlers(store: Store): Handlers<typeof deliveryRoutes> {
  return {
    "GET /deliveries": async ({ query: { cursor, limit, ...filter } }) => {
      const after = readCursor(cursor);
      const rows = await listDeliveries(store, toFilter(filter), omitUndefined({ limit: limit + 1, after }));
      const items = rows.slice(0, limit);
      const last = rows.length > limit ? items.at(-1) : undefined;
      return { items, next: last === undefined ? null : `${last.day}.${last.seq}.${last.subscriber}` };
    },
    "GET /deliveries/details": async ({ query }) => ({ items: await showWithTraces(store, omitUndefined(query)) }),
    "POST /deliveries/{change}": async ({ path: { change }, body }, { principal: { actor }, signal }) => {
      const filter = toFilter(body);
      if (Object.keys(filter).length === 0) {
        throw new Problem(400, "This would take all deliveries", { detail: "Say which: by event, handler, state …" });
      }
      const options = { actor, by: `deliveries ${change}`, stop: stopAfter(signal) };
      const { changed, left } = await changeAllDeliveries(store, change, filter, options);
      return { deliveries: changed, left };
    },
    "POST /quarantine/{seq}/dismiss": async ({ path: { seq } }, { principal }) => {
      const [event] = await findEvents(store, `seq:${seq}`);
      if (event === undefined) throw new Problem(404, `There is no event with the seq ${seq}`);
      if (await dismissQuarantined(store, event, principal.actor)) return undefined;
      throw new Problem(409, "This event is not in quarantine, or was dismissed before");
    },
  };
}

type Given = { readonly [Key in keyof DeliveryFilter]?: DeliveryFilter[Key] | string | undefined };

function toFilter({ since, until, ...others }: Given): DeliveryFilter {
  const [from, to] = [since, until].map((time) => (time === undefined ? undefined : new Date(time)));
  return omitUndefined({ ...others, since: from, until: to }) as DeliveryFilter;
}

function readCursor(cursor: string | undefined): DeliveryCursor | undefined {
  if (cursor === undefined) return undefined;
  const [, day, seq, subscriber] = CURSOR.exec(cursor) ?? [];
  if (day === undefined || subscriber === undefined)
    throw new Problem(400, "The cursor is not one that this list has given");
  return { day, seq: Number(seq), subscriber };
}
