import {
  countWaiting,
  type HandlerRow,
  type LaneFilter,
  type LaneRow,
  listHandlers,
  listLanes,
  pauseHandler,
  type PauseOutcome,
  removeHandler,
  type Store,
  unblockLane,
  type UnblockOutcome,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { type Call, toDate, toDateOrNull, unless } from "./answers.ts";

/** What waits for a handler is counted up to this; more is told as such. */
export const WAITING_COUNTED = 10_000;
export const WAITING_STATES = ["pending", "running", "retrying", "dead"] as const;

/** A handler with its deliveries that have not succeeded, by state. */
export interface HandlerWithWaiting extends HandlerRow {
  readonly deliveries: Readonly<Record<(typeof WAITING_STATES)[number], number>>;
}

export interface HandlerOperations {
  listHandlers(): Promise<readonly HandlerWithWaiting[]>;
  findHandler(name: string): Promise<HandlerRow | undefined>;
  /** Null when there is no such handler. */
  pauseHandler(name: string, paused: boolean): Promise<PauseOutcome | null>;
  /** False when there was none. */
  removeHandler(name: string): Promise<boolean>;
  listLanes(filter: LaneFilter, limit: number): Promise<readonly LaneRow[]>;
  unblockLane(lane: { readonly handler: string; readonly lane: string }): Promise<UnblockOutcome>;
}

export const handlersInStore = (store: Store, { actor }: CliContext): HandlerOperations => ({
  async listHandlers() {
    const counts = await countWaiting(store, WAITING_COUNTED + 1);
    const countOf = (name: string, state: string): number =>
      counts.find((row) => row.subscriber === name && row.state === state)?.count ?? 0;
    return (await listHandlers(store)).map((row) => ({
      ...row,
      deliveries: {
        pending: countOf(row.name, "pending"),
        running: countOf(row.name, "running"),
        retrying: countOf(row.name, "retrying"),
        dead: countOf(row.name, "dead"),
      },
    }));
  },
  findHandler: async (wanted) => (await listHandlers(store)).find(({ name }) => name === wanted),
  pauseHandler: (name, paused) => pauseHandler(store, name, paused, actor),
  removeHandler: (name) => removeHandler(store, name, actor),
  listLanes: (filter, limit) => listLanes(store, filter, limit),
  unblockLane: (lane) => unblockLane(store, lane, actor),
});

export function handlersByApi(call: Call): HandlerOperations {
  const list = async (): Promise<HandlerWithWaiting[]> =>
    (await call("GET /handlers")).items.map(({ pace: _pace, registeredAt, seenAt, pausedAt, deliveries, ...row }) => ({
      ...row,
      registeredAt: toDateOrNull(registeredAt),
      seenAt: toDate(seenAt),
      pausedAt: toDateOrNull(pausedAt),
      deliveries,
    }));
  const lanesOf: HandlerOperations["listLanes"] = async (filter, limit) =>
    (await call("GET /lanes", { query: { ...filter, limit } })).items;
  return {
    listHandlers: list,
    findHandler: async (wanted) => (await list()).find(({ name }) => name === wanted),
    async pauseHandler(name, paused) {
      const route = paused ? "POST /handlers/{name}/pause" : "POST /handlers/{name}/resume";
      const answer = await unless([404], call(route, { path: { name } }));
      return answer && { changed: answer.changed, since: toDateOrNull(answer.since) };
    },
    removeHandler: async (name) =>
      (await unless(
        [404],
        call("DELETE /handlers/{name}", { path: { name } }).then(() => true),
      )) ?? false,
    listLanes: lanesOf,
    async unblockLane(body) {
      const lane = await unless([404, 409], call("POST /lanes/unblock", { body }));
      if (lane !== null) return { outcome: "skipped", lane };
      // Why not is told by what the lane is now.
      const [found] = await lanesOf(body, 1);
      if (found === undefined) return { outcome: "empty" };
      return { outcome: found.head.state === "dead" ? "changed" : "not-dead", lane: found };
    },
  };
}
