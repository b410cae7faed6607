import { hash, randomBytes } from "node:crypto";
import type { Keyring } from "@penstock/dispatch/seal";
import { toEditedEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import type { eventRepairRoutes } from "@penstock/schemas/admin";
import {
  countReplay,
  createReplay,
  type EventDetail,
  listEffects,
  listHandlers,
  listSubscribers,
  recordAudit,
  type ReplayCount,
  requestDryRun,
  showDryRun,
  type Store,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";
import { findEvent } from "../find-event.ts";
import { signEvent } from "../sign-event.ts";
import { findSource, type SourceParts } from "../source-parts.ts";

/** What can be done about one event. */
export function createEventRepairHandlers(
  store: Store,
  keyring: Keyring,
  sources: SourceParts,
): Handlers<typeof eventRepairRoutes> {
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
    "POST /events/{source}/{id}/dry-runs": async ({ path, body: { handler } }, { principal }) => {
      const { day, seq, status } = await findEvent(store, path);
      if (status === "pending") throw new Problem(409, "No worker has recorded the event yet");
      const found = (await listHandlers(store)).find(({ name }) => name === handler);
      if (found === undefined) throw new Problem(404, `There is no handler ${handler}`);
      if (found.kind === "effect") {
        const recorded = await listEffects(store, { day, seq, handler });
        throw new Problem(409, `${handler} is an effect handler, so it is not run`, {
          detail: `What it does outside cannot be rolled back. On record as done once: ${recorded.join(", ") || "nothing"}.`,
        });
      }
      return { id: await requestDryRun(store, { day, seq, handler }, principal.actor) };
    },
    "GET /dry-runs/{id}": async ({ path: { id } }) => {
      const found = await showDryRun(store, id);
      if (found === null) throw new Problem(404, "There is no such dry run", { detail: "They are kept for a day." });
      const { state, handler, worker, report, seq } = found;
      return { state, handler, worker, report, command: `penstock replay dry-run seq:${seq} --handler ${handler}` };
    },
    "POST /events/{source}/{id}/signed": async ({ path }, { principal }) => {
      const event = await findEvent(store, path);
      const signed = await signEvent(store, keyring, sources, event);
      const target = `${event.source}/${event.id ?? `seq:${event.seq}`}`;
      await recordAudit(store.pool, {
        actor: principal.actor,
        action: "events.sign",
        target,
        detail: { seq: event.seq, unsigned: signed.unsigned },
      });
      return signed;
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
