import { isEndpointId, KNOWN_EVENT_TYPES, OWN_EVENT_TYPES } from "@penstock/schemas";
import type { handlerRoutes, RouteResult } from "@penstock/schemas/admin";
import {
  countWaiting,
  listErrorGroups,
  listHandlers,
  listLanes,
  pauseHandler,
  readHandlerPaces,
  removeHandler,
  type Store,
  unblockLane,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";

/** More than these that wait are told as such. */
const COUNTED = 10_000;

type Handler = RouteResult<(typeof handlerRoutes)["GET /handlers"]>["items"][number];

export function createHandlerHandlers(store: Store): Handlers<typeof handlerRoutes> {
  return {
    "GET /handlers": async () => {
      const [rows, counts, paces] = await Promise.all([
        listHandlers(store),
        countWaiting(store, COUNTED + 1),
        readHandlerPaces(store),
      ]);
      const items = rows.map((row): Handler => {
        const countOf = (state: string): number =>
          counts.find((each) => each.subscriber === row.name && each.state === state)?.count ?? 0;
        const pace = paces.find(({ subscriber }) => subscriber === row.name);
        return {
          name: row.name,
          kind: row.kind === "effect" ? "effect" : "transactional",
          types: row.types,
          registeredAt: row.registeredAt?.toISOString() ?? null,
          seenAt: row.seenAt.toISOString(),
          pausedAt: row.pausedAt?.toISOString() ?? null,
          deliveries: {
            pending: countOf("pending"),
            running: countOf("running"),
            retrying: countOf("retrying"),
            dead: countOf("dead"),
          },
          pace: pace ?? null,
        };
      });
      return { items };
    },
    "GET /event-types": async () => {
      const ofHandlers = (await listHandlers(store)).flatMap(({ types }) => types);
      return { items: [...new Set([...KNOWN_EVENT_TYPES, ...ofHandlers, ...OWN_EVENT_TYPES])].toSorted() };
    },
    "GET /handlers/errors": async ({ query: { handler } }) => ({
      items: await listErrorGroups(store, omitUndefined({ subscriber: handler })),
    }),
    "POST /handlers/{name}/pause": async ({ path: { name } }, { principal }) => ({
      ...(await pause(store, name, true, principal.actor)),
      paused: true,
    }),
    "POST /handlers/{name}/resume": async ({ path: { name } }, { principal }) => ({
      ...(await pause(store, name, false, principal.actor)),
      paused: false,
    }),
    "DELETE /handlers/{name}": async ({ path: { name } }, { principal }) => {
      if (!(await removeHandler(store, name, principal.actor)))
        throw new Problem(404, "There is no handler of this name");
      return undefined;
    },
    "GET /lanes": async ({ query: { limit, ...filter } }) => ({
      items: await listLanes(store, omitUndefined(filter), limit),
    }),
    "POST /lanes/unblock": async ({ body }, { principal }) => {
      const found = await unblockLane(store, body, principal.actor);
      if (found.outcome === "skipped") return found.lane;
      if (found.outcome === "empty") throw new Problem(404, "Nothing waits or runs in this lane");
      if (found.outcome === "changed") throw new Problem(409, "The lane has just changed: nothing was skipped");
      throw new Problem(409, "No dead letter blocks this lane", {
        detail: `Its head is ${found.lane.head.state}: it is tried without you.`,
      });
    },
  };
}

async function pause(store: Store, name: string, paused: boolean, actor: string) {
  const found = isEndpointId(name) ? null : await pauseHandler(store, name, paused, actor);
  if (found === null) throw new Problem(404, "There is no handler of this name");
  return { handler: name, changed: found.changed, since: found.since?.toISOString() ?? null };
}
