import { hash, randomBytes } from "node:crypto";
import { toEditedEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import type { eventRepairRoutes } from "@penstock/schemas/admin";
import {
  countReplay,
  createReplay,
  type EventDetail,
  listSubscribers,
  type ReplayCount,
  type Store,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";
import { findEvent } from "../find-event.ts";
import { findSource, type SourceParts } from "../source-parts.ts";

/** What can be done about one event. */
export function createEventRepairHandlers(store: Store, sources: SourceParts): Handlers<typeof eventRepairRoutes> {
  return {
    "GET /events/{source}/{id}/replay": async ({ path, query: { handler } }) => {
      const { day, seq } = await findEvent(store, path);
      return toMatches(await countReplay(store, omitUndefined({ event: { day, seq }, handler })));
    },
    "POST /events/{source}/{id}/replay": async ({ path, body: { handler, again, reason } }, { principal }) => {
      const { day, seq } = await findEvent(store, path);
      const wanted = omitUndefined({ event: { day, seq }, handler, again, reason });
      const count = await countReplay(store, wanted);
      if (count?.total === 0) {
        throw new Problem(409, "There is nothing to do again", {
          detail: "What waits or runs is done anyway; what was skipped or cancelled is retried by its delivery.",
        });
      }
      const replay = newId();
      const request = omitUndefined({ event: `seq:${seq}`, handler, again });
      await createReplay(store, { ...wanted, id: replay, request }, principal.actor);
      return { ...toMatches(count), replay };
    },
    "POST /events/{source}/{id}/replay-edited/check": async ({ path, body }) => {
      const original = await findEvent(store, path);
      const edited = edit(original, body.body, newId());
      if (!edited.ok) return { ...edited, subscribers: [] };
      const { type } = edited.event;
      const found = type === null ? [] : await listSubscribers(store, type);
      return { ok: true, type, subscribers: found.map(({ name }) => name) };
    },
    "POST /events/{source}/{id}/replay-edited": async ({ path, body: { body: text, reason } }, { principal }) => {
      const original = await findEvent(store, path);
      const replay = newId();
      const edited = edit(original, text, replay);
      if (!edited.ok)
        throw new Problem(422, `It would not be understood (${edited.reason})`, { detail: edited.detail });
      const { day, seq } = original;
      const request = { event: `seq:${seq}`, bodySha256: hash("sha256", text, "hex") };
      const wanted = omitUndefined({ id: replay, event: { day, seq }, body: edited.event, request, reason });
      await createReplay(store, wanted, principal.actor);
      return { replay, id: edited.event.eventId ?? "" };
    },
  };

  function edit(original: EventDetail, text: string, replayId: string) {
    const source = findSource(sources, original.source);
    return toEditedEvent(source, original, { body: Buffer.from(text), replayId }, wallClockMs());
  }
}

const newId = (): string => randomBytes(4).toString("hex");

function toMatches(count: ReplayCount | null) {
  return {
    total: count === null ? 0 : count.total,
    handlers: (count?.handlers ?? []).map(({ name, count: matching }) => ({ name, count: matching })),
  };
}
