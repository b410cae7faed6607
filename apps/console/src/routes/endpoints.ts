import { randomBytes } from "node:crypto";
import { createGuard, generateSecret, isSuccess, openAll, parseMasterKeys } from "@penstock/dispatch";
import { ENDPOINT_DEFAULTS, ENDPOINT_PREFIX, type EndpointSettings, type OutboundConfig } from "@penstock/schemas";
import type { endpointRoutes } from "@penstock/schemas/admin";
import { sendTest } from "@penstock/simulator";
import {
  changeAllDeliveries,
  createEndpoint,
  deleteEndpoint,
  type EndpointRow,
  listDeliveries,
  listEndpoints,
  pauseHandler,
  readEndpointPulses,
  readEndpointSecrets,
  recoverEndpoint,
  resumeEndpoint,
  revealEndpointSecret,
  rotateEndpointSecret,
  showDeliveries,
  type Store,
  updateEndpoint,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { pageBefore } from "../api/page.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";
import { stopAfter } from "../api/stop-after.ts";

export function createEndpointHandlers(store: Store, outbound: OutboundConfig): Handlers<typeof endpointRoutes> {
  const keyring = parseMasterKeys(outbound.masterKeys ?? "");

  async function find(id: string): Promise<EndpointRow> {
    const [row] = await listEndpoints(store, { id });
    if (row === undefined) throw new Problem(404, "There is no endpoint with this id");
    return row;
  }

  async function withPulses(rows: readonly EndpointRow[]) {
    const pulses = await readEndpointPulses(
      store,
      rows.map(({ id }) => id),
    );
    return rows.map((row) => ({ ...row, pulse: pulses.find(({ id }) => id === row.id) ?? null }));
  }

  async function assertAllowed(url: string): Promise<void> {
    const judged = await createGuard(outbound).check(url);
    if (judged.ok) return;
    throw new Problem(400, "Penstock may not send to this URL", {
      errors: [{ path: "body.url", message: judged.message }],
    });
  }

  return {
    "GET /endpoints": async ({ query: { tenant, cursor, limit } }) => {
      const after = cursor === undefined ? undefined : { id: cursor };
      const rows = await listEndpoints(store, omitUndefined({ tenant, after, limit: limit + 1 }));
      const items = await withPulses(rows.slice(0, limit));
      return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
    },
    "POST /endpoints": async ({ body }, { principal }) => {
      const settings: EndpointSettings = { ...ENDPOINT_DEFAULTS, ...omitUndefined(body) };
      await assertAllowed(settings.url);
      const id = ENDPOINT_PREFIX + randomBytes(8).toString("hex");
      const secret = generateSecret();
      await createEndpoint(store, { id, secret: keyring.seal(secret, id), settings }, principal.actor);
      return { ...(await find(id)), secret };
    },
    "GET /endpoints/{id}": async ({ path: { id } }) => {
      const row = await find(id);
      const [pulse = null] = await readEndpointPulses(store, [id]);
      return { ...row, pulse };
    },
    "PATCH /endpoints/{id}": async ({ path: { id }, body }, { principal }) => {
      const settings: EndpointSettings = { ...settingsOf(await find(id)), ...omitUndefined(body) };
      if (body.url !== undefined) await assertAllowed(body.url);
      await updateEndpoint(store, id, settings, principal.actor);
      return find(id);
    },
    "DELETE /endpoints/{id}": async ({ path: { id } }, { principal: { actor }, signal }) => {
      await find(id);
      await deleteEndpoint(store, id, actor);
      const options = { actor, by: "endpoints delete", stop: stopAfter(signal) };
      const pending = await changeAllDeliveries(store, "cancel", { handler: id, state: "pending" }, options);
      const retrying = await changeAllDeliveries(store, "cancel", { handler: id, state: "retrying" }, options);
      return { cancelled: pending.changed + retrying.changed, left: pending.left + retrying.left };
    },
    "POST /endpoints/{id}/secret": async ({ path: { id } }, { principal }) => {
      const secret = await revealEndpointSecret(store, id, (sealed) => keyring.open(sealed, id), principal.actor);
      if (secret === null) throw new Problem(404, "There is no endpoint with this id");
      return { secret };
    },
    "POST /endpoints/{id}/rotate": async ({ path: { id }, body }, { principal }) => {
      const { previousSecretUntil } = await find(id);
      if (previousSecretUntil !== null && !body.force) {
        throw new Problem(409, "The last rotation is under way", {
          detail: `Until ${previousSecretUntil} the receiver may still hold the secret before, which would sign no longer. Wait until then.`,
        });
      }
      const secret = generateSecret();
      // One that cannot be opened does not sign now, either.
      const opens = openAll(keyring, await readEndpointSecrets(store, id), id).length > 0;
      const rotation = { secret: keyring.seal(secret, id), overlapMs: opens ? body.overlapMs : 0 };
      await rotateEndpointSecret(store, id, rotation, principal.actor);
      return { ...(await find(id)), secret };
    },
    "POST /endpoints/{id}/pause": async ({ path: { id } }, { principal }) => {
      await find(id);
      await pauseHandler(store, id, true, principal.actor);
      return find(id);
    },
    "POST /endpoints/{id}/resume": async ({ path: { id } }, { principal }) => {
      await find(id);
      await resumeEndpoint(store, id, principal.actor);
      return find(id);
    },
    "POST /endpoints/{id}/test": async ({ path: { id }, body: { type = "message.received" } }, { signal }) => {
      const endpoint = await find(id);
      const secrets = openAll(keyring, await readEndpointSecrets(store, id), id);
      const answer = await sendTest({ outbound, endpoint, secrets, type, signal });
      if (!answer.answered) return { endpoint: id, ok: false, ...answer };
      return { endpoint: id, ok: isSuccess(answer.status), ...answer };
    },
    "POST /endpoints/{id}/recover": async ({ path: { id }, body }, { principal: { actor }, signal }) => {
      await find(id);
      const since = body.since === undefined ? undefined : new Date(body.since);
      const { changed, left } = await recoverEndpoint(store, id, { actor, since, stop: stopAfter(signal) });
      return { deliveries: changed, left };
    },
    "GET /endpoints/{id}/deliveries": ({ path: { id }, query: { state, cursor, limit } }) =>
      pageBefore(cursor, limit, (before, most) => {
        const after = before && { ...before, subscriber: id };
        return listDeliveries(store, omitUndefined({ handler: id, state }), omitUndefined({ limit: most, after }));
      }),
    "GET /endpoints/{id}/deliveries/{seq}": async ({ path: { id, seq } }) => {
      const [delivery] = await showDeliveries(store, { event: `seq:${seq}`, handler: id });
      if (delivery === undefined) throw new Problem(404, "This endpoint has no delivery of this event");
      return delivery;
    },
  };
}

/** What is set for an endpoint, without what is known of it. */
function settingsOf(row: EndpointRow): EndpointSettings {
  const { url, description, tenant, types, filter, lane, headerName, concurrency, ratePerSecond } = row;
  const { scheduleMs, disableAfterMs, disableAfterFailures } = row;
  const limits = { concurrency, ratePerSecond, scheduleMs, disableAfterMs, disableAfterFailures };
  return { url, description, tenant, types, filter, lane, headerName, ...limits };
}
