import { randomBytes } from "node:crypto";
import { type Keyring, openSourceSecret, SealError, sealSourceSecret } from "@penstock/dispatch/seal";
import type { sourceRoutes } from "@penstock/schemas/admin";
import {
  addSourceSecret,
  listRefusedRequests,
  listSourceActivity,
  listSourceSecrets,
  readSilence,
  removeSourceSecret,
  revealSourceSecret,
  rotateSourceSecret,
  SOURCE_SECRET_LIMIT,
  type SourceSecretRow,
  type Store,
} from "@penstock/store";
import { omitUndefined } from "../api/omit-undefined.ts";
import { pageById } from "../api/page-by-id.ts";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";
import { findSource, type SourceParts } from "../source-parts.ts";

export function createSourceHandlers(
  store: Store,
  keyring: Keyring,
  sources: SourceParts,
): Handlers<typeof sourceRoutes> {
  return {
    "GET /sources": async () => {
      const secrets = await listSourceSecrets(store);
      const heard = await listSourceActivity(store);
      const watched = sources.list.map(({ name, source }) => ({ name, silentAfterMs: source.silentAfterMs }));
      const silences = await readSilence(store.pool, watched);
      const items = sources.list.map(({ name, source, secretsFrom }) => {
        const activity = heard.find((one) => one.source === name);
        const silence = silences.find((one) => one.source === name);
        return {
          name,
          provider: source.provider,
          url: `${sources.ingestUrl}/webhooks/${name}`,
          secretsFrom,
          secrets: secrets.filter((secret) => secret.source === name).map(toSecret),
          lastEventAt: activity?.lastEventAt?.toISOString() ?? null,
          lastRefusedAt: activity?.lastRefusedAt?.toISOString() ?? null,
          refused: activity?.refused ?? 0,
          silence: {
            state: silence?.state ?? "new",
            usual: silence?.usual ?? null,
            learnsUntil: silence?.learnsUntil?.toISOString() ?? null,
            silentAfterMs: source.silentAfterMs || null,
            advice: source.whenSilent,
          },
          canSign: source.sign !== null,
          signsTime: source.signsTime,
        };
      });
      return { items };
    },
    "GET /source-secrets": async ({ query: { source } }) => {
      const rows = await listSourceSecrets(store, source);
      return { items: rows.map((row) => ({ source: row.source, ...toSecret(row) })) };
    },
    "POST /sources/{name}/secrets": async ({ path: { name }, body }, { principal: { actor } }) => {
      const named = findSource(sources, name);
      const secret = body.secret ?? makeSecret((one) => named.source.checkSecret(one));
      const wrong = named.source.checkSecret(secret);
      if (wrong !== null) throw new Problem(400, `The secret ${wrong}`);
      const sealed = sealSourceSecret(keyring, name, secret);
      const outcome = await (body.endOthersInMs === null
        ? addSourceSecret(store, sealed, actor)
        : rotateSourceSecret(store, sealed, body.endOthersInMs, actor));
      if (outcome === "full") {
        const detail = "Remove one that is not used any more.";
        throw new Problem(409, `${name} has ${SOURCE_SECRET_LIMIT} secrets, which is the most`, { detail });
      }
      return { fingerprint: sealed.fingerprint, secret: body.secret === undefined ? secret : null };
    },
    "DELETE /sources/{name}/secrets/{fingerprint}": async ({ path: { name, fingerprint } }, { principal }) => {
      findSource(sources, name);
      const removed = await removeSourceSecret(store, { source: name, fingerprint }, principal.actor);
      if (!removed) throw noSecret(name, fingerprint);
      return undefined;
    },
    "POST /sources/{name}/secrets/{fingerprint}/reveal": async ({ path: { name, fingerprint } }, { principal }) => {
      const open = (sealed: string): string => {
        try {
          return openSourceSecret(keyring, { source: name, fingerprint, sealed });
        } catch (error) {
          if (error instanceof SealError) throw new Problem(409, "It cannot be opened", { detail: error.message });
          throw error;
        }
      };
      const secret = await revealSourceSecret(store, { source: name, fingerprint }, open, principal.actor);
      if (secret === null) throw noSecret(name, fingerprint);
      return { secret };
    },
    "GET /refused-requests": ({ query: { source, cursor, limit } }) =>
      pageById(cursor, limit, async (page) => {
        const rows = await listRefusedRequests(store, omitUndefined({ source, ...page }));
        return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
      }),
  };
}

function toSecret({ fingerprint, kept, inEnvironment, ended, addedAt, endsAt, usedAt }: SourceSecretRow) {
  const toTime = (time: Date | null): string | null => time?.toISOString() ?? null;
  const times = { addedAt: addedAt.toISOString(), endsAt: toTime(endsAt), usedAt: toTime(usedAt) };
  return { fingerprint, kept, inEnvironment, ended, ...times };
}

/** A secret of a form that the provider takes. @throws Problem where the provider makes its secrets. */
function makeSecret(check: (secret: string) => string | null): string {
  const bytes = randomBytes(32);
  const made = [`whsec_${bytes.toString("base64")}`, bytes.toString("hex")].find((one) => check(one) === null);
  if (made !== undefined) return made;
  throw new Problem(400, "This provider makes its secrets", { detail: "Copy one from there." });
}

const noSecret = (name: string, fingerprint: string): Problem =>
  new Problem(404, `${name} has no secret ${fingerprint} in the database`);
