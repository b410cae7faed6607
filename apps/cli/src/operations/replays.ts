import { hash } from "node:crypto";
import {
  cancelReplay,
  type CancelledReplay,
  countReplay,
  createReplay,
  type EventPointer,
  listReplays,
  type NewReplay,
  type ReplayCount,
  type ReplayDetail,
  type ReplayOutcome,
  type ReplayRow,
  showReplay,
  type Store,
  toNewReplay,
  type WantedReplay,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { addBatchJob } from "../queue-job.ts";
import { type Call, toDateOrNull, unless } from "./answers.ts";

/** The event that is named, and the body that it is to be handled with. */
interface ReplayOf {
  readonly pointer: EventPointer | undefined;
  readonly body?: NewReplay["body"];
}

export interface ReplayOperations {
  /** Null when it takes too long to tell. */
  countReplay(wanted: WantedReplay, of: ReplayOf): Promise<ReplayCount | null>;
  createReplay(wanted: WantedReplay, of: ReplayOf): Promise<ReplayOutcome>;
  listReplays(page: { readonly limit: number }): Promise<readonly ReplayRow[]>;
  showReplay(id: string): Promise<ReplayDetail | null>;
  /** Null when it does not run. */
  cancelReplay(id: string): Promise<CancelledReplay | null>;
}

export const replaysInStore = (store: Store, ctx: CliContext): ReplayOperations => ({
  countReplay: (wanted, { pointer }) => countReplay(store, toNewReplay(wanted, pointer)),
  createReplay: (wanted, { pointer, body }) => {
    const replay = toNewReplay(wanted, pointer);
    const request = { ...replay.request, ...(body && { bodySha256: hash("sha256", body.body, "hex") }) };
    const asked = { ...replay, request, ...(body && { body }) };
    return createReplay(store, asked, ctx.actor, (batch) => addBatchJob(ctx, batch));
  },
  listReplays: (page) => listReplays(store, page),
  showReplay: (id) => showReplay(store, id),
  cancelReplay: (id) => cancelReplay(store, id, ctx.actor),
});

export const replaysByApi = (call: Call): ReplayOperations => ({
  countReplay: async ({ id: _id, all: _all, again: _again, rate: _rate, reason: _reason, ...query }) =>
    toReplayCount(await call("GET /replay-count", { query })),
  createReplay: async (wanted) => {
    const answer = await unless([409], call("POST /replays", { body: wanted }));
    return answer === null ? "different" : answer.created ? "new" : "same";
  },
  listReplays: async (query) => (await call("GET /replays", { query })).items,
  showReplay: (id) => unless([404], call("GET /replays/{id}", { path: { id } })),
  cancelReplay: (id) => unless([404, 409], call("POST /replays/{id}/cancel", { path: { id } })),
});

/** A count as the API answers it. */
export function toReplayCount({
  total,
  oldest,
  ...count
}: {
  readonly total: number | null;
  readonly handlers: ReplayCount["handlers"];
  readonly quarantined: number;
  readonly oldest: string | null;
}): ReplayCount | null {
  return total === null ? null : { ...count, total, oldest: toDateOrNull(oldest) };
}
