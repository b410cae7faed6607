import { randomBytes } from "node:crypto";
import { isEndpointId } from "@penstock/schemas";
import type { replayRoutes, RouteResult } from "@penstock/schemas/admin";
import {
  cancelReplay,
  countReplay,
  createReplay,
  type EventPointer,
  findEvents,
  listEndpoints,
  listHandlers,
  listReplays,
  type ReplayCount,
  type ReplayDetail,
  showReplay,
  type Store,
  toNewReplay,
  type WantedReplay,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";

/** Where nothing else says which, a replay takes all that was ever received. */
const SAYS_WHICH = ["event", "source", "type", "handler", "state", "subject", "since", "until"] as const;

export function createReplayHandlers(store: Store): Handlers<typeof replayRoutes> {
  return {
    "GET /replay-count": async ({ query }) => {
      const wanted: WantedReplay = { ...omitUndefined(query), id: "" };
      return toReplayCount(await countReplay(store, toNewReplay(wanted, await findEvent(store, wanted))));
    },
    "GET /replays": async ({ query }) => ({ items: await listReplays(store, query) }),
    "POST /replays": async ({ body: { id, ...others } }, { principal }) => {
      const wanted: WantedReplay = { ...omitUndefined(others), id: id ?? randomBytes(4).toString("hex") };
      if (!wanted.all && wanted.among !== "quarantined" && SAYS_WHICH.every((name) => wanted[name] === undefined)) {
        throw new Problem(400, "This would take all that was ever received", { detail: "Say which, or all: true." });
      }
      await assertMeaning(store, wanted);
      const replay = toNewReplay(wanted, await findEvent(store, wanted));
      const outcome = await createReplay(store, replay, principal.actor);
      if (outcome === "different") {
        throw new Problem(409, `There is another replay ${replay.id}`, {
          detail: "It was created with other options: choose another id.",
        });
      }
      return { created: outcome === "new", replay: await findReplay(store, replay.id) };
    },
    "GET /replays/{id}": ({ path: { id } }) => findReplay(store, id),
    "POST /replays/{id}/cancel": async ({ path: { id } }, { principal }) => {
      const cancelled = await cancelReplay(store, id, principal.actor);
      if (cancelled !== null) return cancelled;
      const { status } = await findReplay(store, id);
      throw new Problem(409, `This replay is ${status}`, { detail: "There is nothing to cancel." });
    },
  };
}

/** How many a replay would run, as it is answered. */
export function toReplayCount(count: ReplayCount | null): RouteResult<(typeof replayRoutes)["GET /replay-count"]> {
  if (count === null) return { total: null, handlers: [], quarantined: 0, oldest: null };
  return { ...count, oldest: count.oldest?.toISOString() ?? null };
}

async function findReplay(store: Store, id: string): Promise<ReplayDetail> {
  const found = await showReplay(store, id);
  if (found === null) throw new Problem(404, `There is no replay ${id}`);
  return found;
}

/** The one event that is named; undefined where none is. */
async function findEvent(store: Store, { event, source }: WantedReplay): Promise<EventPointer | undefined> {
  if (event === undefined) return undefined;
  const [found, ...others] = await findEvents(store, event, source);
  if (found === undefined) throw new Problem(404, `There is no event ${event}`);
  if (others.length === 0) return found;
  throw new Problem(409, `Several events have the id ${event}`, { detail: "Name one by its seq: seq:7." });
}

async function assertMeaning(store: Store, { handler, among, state, again }: WantedReplay): Promise<void> {
  if (among !== undefined && state !== undefined) throw new Problem(400, "A state and `among` say two things");
  if (among === "missing" && handler === undefined) throw new Problem(400, "Say which handler gets what it never had");
  if (among === "quarantined" && handler !== undefined) {
    throw new Problem(400, "What leaves the quarantine is new to every handler", { detail: "Leave out the handler." });
  }
  if (handler === undefined) return;
  if (isEndpointId(handler)) {
    if ((await listEndpoints(store, { id: handler })).length === 0) throw new Problem(404, "There is no such endpoint");
    return;
  }
  const found = (await listHandlers(store)).find(({ name }) => name === handler);
  if (found === undefined) throw new Problem(404, "There is no handler of this name");
  if (again === true && found.kind !== "effect") {
    throw new Problem(400, `${handler} is no effect handler`, {
      detail: "It has no effects to do again: leave it out.",
    });
  }
}
