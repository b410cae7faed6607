import type { eventsRoutes, RouteResult } from "@penstock/schemas/admin";
import { listEvents, type Store } from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { pageBefore } from "../api/page.ts";
import type { Handlers } from "../api/register-routes.ts";

type Items = RouteResult<(typeof eventsRoutes)["GET /events"]>["items"];

export function createEventsHandlers(store: Store): Handlers<typeof eventsRoutes> {
  return {
    "GET /events": ({ query: { cursor, limit, since, until, ...others } }) => {
      const times = { since: toDate(since), until: toDate(until) };
      const filter = omitUndefined({ ...others, ...times });
      return pageBefore(
        cursor,
        limit,
        (before, most) =>
          // States are texts to the store; the answer is checked.
          listEvents(store, { ...filter, ...(before && { before }), limit: most }) as Promise<Items>,
      );
    },
  };
}

const toDate = (time: string | undefined): Date | undefined => (time === undefined ? undefined : new Date(time));
