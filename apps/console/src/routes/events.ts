import type { eventsRoutes, RouteResult } from "@penstock/schemas/admin";
import { listEvents, type Store } from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { pageBefore } from "../api/page.ts";
import type { Handlers } from "../api/register-routes.ts";
import { streamEvents } from "../live/stream-events.ts";

type Items = RouteResult<(typeof eventsRoutes)["GET /events"]>["items"];

const LAST_EVENT_ID = /^\d{1,16}$/;

/** `closing`: ends what would go on for ever. */
export function createEventsHandlers(store: Store, closing: AbortSignal): Handlers<typeof eventsRoutes> {
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
    "GET /events/stream": ({ query: { types, source, after } }, { req, res, signal }) => {
      const resumed = LAST_EVENT_ID.exec(req.get("last-event-id") ?? "")?.[0];
      return streamEvents(store, res, {
        types: types?.split(","),
        source,
        after: resumed === undefined ? after : Number(resumed),
        signal: AbortSignal.any([signal, closing]),
      });
    },
  };
}

const toDate = (time: string | undefined): Date | undefined => (time === undefined ? undefined : new Date(time));
