import { randomBytes } from "node:crypto";
import { generateSecret, openSourceSecret, sealSourceSecret } from "@penstock/dispatch";
import {
  addSourceSecret,
  listRefusedRequests,
  listSourceActivity,
  listSourceSecrets,
  type RefusedRow,
  removeSourceSecret,
  revealSourceSecret,
  rotateSourceSecret,
  SOURCE_SECRET_LIMIT,
  type SourceSecretRow,
  type Store,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { findOutboundConfig, openKeyring } from "../outbound.ts";
import { findNamed, loadSources, noSource } from "../sources/find-named.ts";
import { type Call, readPages, toDate, toDateOrNull, unless } from "./answers.ts";

/** When a source was last heard of; null: never. */
interface Activity {
  readonly source: string;
  readonly lastEventAt: Date | null;
  readonly lastRefusedAt: Date | null;
  readonly refused: number;
}

/** A secret that was added; `secret` where it was made. */
interface Added {
  readonly fingerprint: string;
  readonly secret: string | null;
}

export interface SourceOperations {
  /** @throws CliError when there is no source of this name. */
  assertSource(name: string): Promise<void>;
  /** Of each source that is listed. */
  listActivity(): Promise<readonly Activity[]>;
  listRefused(which: { readonly source?: string; readonly limit: number }): Promise<readonly RefusedRow[]>;
  listSourceSecrets(source?: string): Promise<readonly SourceSecretRow[]>;
  /**
   * Adds this secret, or makes one; ends all others after `endOthersInMs`, unless that is null.
   *
   * @throws UsageError | CliError when the source cannot use it, or has as many as it can have.
   */
  addSourceSecret(
    source: string,
    wanted: { readonly secret: string | undefined; readonly endOthersInMs: number | null },
  ): Promise<Added>;
  /** False when the source has none with this fingerprint. */
  removeSourceSecret(key: { readonly source: string; readonly fingerprint: string }): Promise<boolean>;
  /** Null when the database has none with this fingerprint. */
  revealSourceSecret(key: { readonly source: string; readonly fingerprint: string }): Promise<string | null>;
}

export const sourcesInStore = (store: Store, ctx: CliContext): SourceOperations => ({
  assertSource: async (name) => void findNamed(await loadSources(ctx), name),
  async listActivity() {
    const heard = await listSourceActivity(store);
    return (await loadSources(ctx)).list.map(({ name }) => {
      const never = { source: name, lastEventAt: null, lastRefusedAt: null, refused: 0 };
      return heard.find(({ source }) => source === name) ?? never;
    });
  },
  listRefused: (which) => listRefusedRequests(store, which),
  listSourceSecrets: (source) => listSourceSecrets(store, source),
  async addSourceSecret(name, { secret: given, endOthersInMs }) {
    const { source } = findNamed(await loadSources(ctx), name);
    const keyring = openKeyring(await findOutboundConfig(ctx));
    const secret = given ?? makeSecret(name, (one) => source.checkSecret(one));
    const wrong = source.checkSecret(secret);
    if (wrong !== null) throw new UsageError(`The secret ${wrong}.`);
    const sealed = sealSourceSecret(keyring, name, secret);
    const outcome = await (endOthersInMs === null
      ? addSourceSecret(store, sealed, ctx.actor)
      : rotateSourceSecret(store, sealed, endOthersInMs, ctx.actor));
    if (outcome === "full") {
      throw new CliError(
        `${name} has ${SOURCE_SECRET_LIMIT} secrets in the database, which is the most: remove one, see \`${ctx.penstock} sources secrets list ${name}\`.`,
      );
    }
    return { fingerprint: sealed.fingerprint, secret: given === undefined ? secret : null };
  },
  removeSourceSecret: (key) => removeSourceSecret(store, key, ctx.actor),
  async revealSourceSecret(key) {
    const keyring = openKeyring(await findOutboundConfig(ctx));
    return revealSourceSecret(store, key, (sealed) => openSourceSecret(keyring, { ...key, sealed }), ctx.actor);
  },
});

/** A secret of a form that the provider takes. */
function makeSecret(name: string, check: (secret: string) => string | null): string {
  const made = [generateSecret(), randomBytes(32).toString("hex")].find((one) => check(one) === null);
  if (made !== undefined) return made;
  throw new UsageError(`The provider of ${name} makes its secrets: take one from there, and give it by --from.`);
}

export function sourcesByApi(call: Call): SourceOperations {
  const list = async () => (await call("GET /sources")).items;
  return {
    async assertSource(wanted) {
      const names = (await list()).map(({ name }) => name);
      if (!names.includes(wanted)) throw noSource(wanted, names);
    },
    listActivity: async () =>
      (await list()).map(({ name, lastEventAt, lastRefusedAt, refused }) => ({
        source: name,
        lastEventAt: toDateOrNull(lastEventAt),
        lastRefusedAt: toDateOrNull(lastRefusedAt),
        refused,
      })),
    async listRefused({ source, limit }) {
      const query = source === undefined ? {} : { source };
      const rows = await readPages(limit, (page) => call("GET /refused-requests", { query: { ...query, ...page } }));
      return rows.map(({ at, ...row }) => ({ ...row, at: toDate(at) }));
    },
    async listSourceSecrets(source) {
      const { items } = await call("GET /source-secrets", { query: source === undefined ? {} : { source } });
      return items.map(({ addedAt, endsAt, usedAt, ...row }) => ({
        ...row,
        addedAt: toDate(addedAt),
        endsAt: toDateOrNull(endsAt),
        usedAt: toDateOrNull(usedAt),
      }));
    },
    addSourceSecret: (name, { secret, endOthersInMs }) =>
      call("POST /sources/{name}/secrets", {
        path: { name },
        body: { ...(secret !== undefined && { secret }), endOthersInMs },
      }),
    removeSourceSecret: async ({ source: name, fingerprint }) => {
      const path = { name, fingerprint };
      const removed = call("DELETE /sources/{name}/secrets/{fingerprint}", { path }).then(() => true);
      return (await unless([404], removed)) ?? false;
    },
    revealSourceSecret: async ({ source: name, fingerprint }) => {
      const path = { name, fingerprint };
      const answer = await unless([404], call("POST /sources/{name}/secrets/{fingerprint}/reveal", { path }));
      return answer?.secret ?? null;
    },
  };
}
