import { randomBytes } from "node:crypto";
import { createGuard, generateSecret, isSuccess, openAll } from "@penstock/dispatch";
import {
  type AdminOutput,
  ENDPOINT_PREFIX,
  type EndpointSettings,
  type KnownEventType,
  type OutboundConfig,
} from "@penstock/schemas";
import { sendTest } from "@penstock/simulator";
import {
  type Changes,
  createEndpoint,
  deleteEndpoint,
  type EndpointRow,
  listEndpoints,
  pauseHandler,
  readEndpointSecrets,
  recoverEndpoint,
  resumeEndpoint,
  revealEndpointSecret,
  rotateEndpointSecret,
  type Store,
  updateEndpoint,
} from "@penstock/store";
import { addChanges, changeAll, untilStopped } from "../change-all.ts";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { noEndpoint } from "../no-match.ts";
import { findOutboundConfig, openKeyring } from "../outbound.ts";
import { type Call, readPages, unless } from "./answers.ts";
import { changeByApi } from "./deliveries.ts";

type EndpointWithSecret = EndpointRow & { readonly secret: string };
type TestAnswer = AdminOutput<"endpoints.test">;

export interface EndpointOperations {
  listEndpoints(filter: { readonly tenant?: string }): Promise<readonly EndpointRow[]>;
  findEndpoint(id: string): Promise<EndpointRow | undefined>;
  addEndpoint(settings: EndpointSettings): Promise<EndpointWithSecret>;
  /** Changes what is named. */
  updateEndpoint(id: string, changes: Partial<EndpointSettings>): Promise<void>;
  /** Also cancels what waits for it. */
  deleteEndpoint(id: string): Promise<Changes>;
  /** Null when there is no such endpoint. */
  revealEndpointSecret(id: string): Promise<string | null>;
  /** `force`: also while the last rotation is under way. */
  rotateEndpointSecret(
    id: string,
    rotation: { readonly overlapMs: number; readonly force: boolean },
  ): Promise<EndpointWithSecret>;
  pauseEndpoint(id: string): Promise<void>;
  resumeEndpoint(id: string): Promise<void>;
  recoverEndpoint(id: string, since: Date | undefined): Promise<Changes>;
  testEndpoint(id: string, type: KnownEventType): Promise<TestAnswer>;
}

const PAGE = 1_000;
/** The rules that no network is exempt from. */
const NEVER_ALLOWED: readonly string[] = ["malformed", "too-long", "credentials", "host", "unresolvable"];

export function endpointsInStore(store: Store, ctx: CliContext): EndpointOperations {
  const find = async (id: string): Promise<EndpointRow> => {
    const [row] = await listEndpoints(store, { id });
    if (row === undefined) throw new CliError(noEndpoint(ctx, id));
    return row;
  };
  return {
    async listEndpoints(filter) {
      const rows: EndpointRow[] = [];
      for (;;) {
        const after = rows.at(-1);
        const page = await listEndpoints(store, { ...filter, limit: PAGE, ...(after && { after }) });
        rows.push(...page);
        if (page.length < PAGE) return rows;
      }
    },
    findEndpoint: async (id) => (await listEndpoints(store, { id }))[0],
    async addEndpoint(settings) {
      const outbound = await findOutboundConfig(ctx);
      const keyring = openKeyring(outbound);
      await assertAllowed(outbound, settings.url);
      const id = ENDPOINT_PREFIX + randomBytes(8).toString("hex");
      const secret = generateSecret();
      await createEndpoint(store, { id, secret: keyring.seal(secret, id), settings }, ctx.actor);
      return { ...(await find(id)), secret };
    },
    async updateEndpoint(id, changes) {
      if (changes.url !== undefined) await assertAllowed(await findOutboundConfig(ctx), changes.url);
      await updateEndpoint(store, id, { ...toSettingsOf(await find(id)), ...changes }, ctx.actor);
    },
    async deleteEndpoint(id) {
      await deleteEndpoint(store, id, ctx.actor);
      const by = "endpoints delete";
      return addChanges(
        await changeAll(store, ctx, "cancel", { handler: id, state: "pending" }, { by }),
        await changeAll(store, ctx, "cancel", { handler: id, state: "retrying" }, { by }),
      );
    },
    async revealEndpointSecret(id) {
      const keyring = openKeyring(await findOutboundConfig(ctx));
      return revealEndpointSecret(store, id, (sealed) => keyring.open(sealed, id), ctx.actor);
    },
    async rotateEndpointSecret(id, { overlapMs }) {
      const keyring = openKeyring(await findOutboundConfig(ctx));
      const secret = generateSecret();
      // One that cannot be opened does not sign now, either.
      const opens = openAll(keyring, (await readEndpointSecrets(store, id)).slice(0, 1), id).length > 0;
      const rotation = { secret: keyring.seal(secret, id), overlapMs: opens ? overlapMs : 0 };
      await rotateEndpointSecret(store, id, rotation, ctx.actor);
      return { ...(await find(id)), secret };
    },
    async pauseEndpoint(id) {
      await pauseHandler(store, id, true, ctx.actor);
    },
    async resumeEndpoint(id) {
      await resumeEndpoint(store, id, ctx.actor);
    },
    recoverEndpoint: (id, since) =>
      untilStopped(ctx, () => recoverEndpoint(store, id, { actor: ctx.actor, since, stop: ctx.stop })),
    async testEndpoint(id, type) {
      const outbound = await findOutboundConfig(ctx);
      const keyring = openKeyring(outbound);
      const endpoint = await find(id);
      const [newest = "", ...older] = await readEndpointSecrets(store, id);
      // As a delivery does, also while a secret is rotated.
      const secrets = [keyring.open(newest, id), ...openAll(keyring, older, id)];
      const answer = await sendTest({ outbound, endpoint, secrets, type, signal: ctx.stop });
      if (!answer.answered) return { endpoint: id, ok: false, ...answer };
      return { endpoint: id, ok: isSuccess(answer.status), ...answer };
    },
  };
}

export function endpointsByApi(call: Call, ctx: CliContext): EndpointOperations {
  const withoutPulse = <Row extends { readonly pulse: unknown }>({ pulse: _pulse, ...row }: Row) => row;
  return {
    listEndpoints: async (filter) => {
      const rows = await readPages(Infinity, (page) => call("GET /endpoints", { query: { ...filter, ...page } }));
      return rows.map(withoutPulse);
    },
    findEndpoint: async (id) => {
      const row = await unless([404], call("GET /endpoints/{id}", { path: { id } }));
      return row === null ? undefined : withoutPulse(row);
    },
    addEndpoint: (body) => call("POST /endpoints", { body }),
    async updateEndpoint(id, body) {
      await call("PATCH /endpoints/{id}", { path: { id }, body });
    },
    async deleteEndpoint(id) {
      const { cancelled, left } = await call("DELETE /endpoints/{id}", { path: { id } });
      return { changed: cancelled, left };
    },
    revealEndpointSecret: async (id) =>
      (await unless([404], call("POST /endpoints/{id}/secret", { path: { id } })))?.secret ?? null,
    rotateEndpointSecret: (id, body) => call("POST /endpoints/{id}/rotate", { path: { id }, body }),
    async pauseEndpoint(id) {
      await call("POST /endpoints/{id}/pause", { path: { id } });
    },
    async resumeEndpoint(id) {
      await call("POST /endpoints/{id}/resume", { path: { id } });
    },
    recoverEndpoint: (id, since) => {
      const body = since === undefined ? {} : { since: since.toISOString() };
      return changeByApi(ctx, () => call("POST /endpoints/{id}/recover", { path: { id }, body }));
    },
    testEndpoint: (id, type) => call("POST /endpoints/{id}/test", { path: { id }, body: { type } }),
  };
}

/** @throws CliError that says which rule a URL breaks. */
async function assertAllowed({ allow, ports: listed }: OutboundConfig, url: string): Promise<void> {
  const judged = await createGuard({ allow, ports: listed }).check(url);
  if (judged.ok) return;
  const isHttp = /^https?:/i.test(url);
  const hint = NEVER_ALLOWED.includes(judged.rule) || !isHttp ? "" : " Networks are allowed by OUTBOUND_ALLOW.";
  const ports = judged.rule === "port" ? " Ports are allowed by OUTBOUND_PORTS." : "";
  throw new CliError(`Refused (rule ${judged.rule}): ${judged.message}${ports}${hint}`);
}

/** What is set for an endpoint, without what is known of it. */
export function toSettingsOf(row: EndpointRow): EndpointSettings {
  const { url, description, tenant, types, filter, lane, headerName, concurrency, ratePerSecond } = row;
  const { scheduleMs, disableAfterMs, disableAfterFailures } = row;
  const limits = { concurrency, ratePerSecond, scheduleMs, disableAfterMs, disableAfterFailures };
  return { url, description, tenant, types, filter, lane, headerName, ...limits };
}
