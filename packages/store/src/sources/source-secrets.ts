import { query, type Queryable, type Store } from "../connection/create-store.ts";
import { type RowOf, sql, statement } from "../connection/sql.ts";
import { transaction } from "../connection/transaction.ts";
import { recordAudit } from "../operators/audit-log.ts";

const source = { source: "text" } as const;
const fingerprint = { fingerprint: "text" } as const;

/** A secret is in the environment of an ingest while one has said so within this time; ingests say it every minute. */
const SEEN_WITHIN = "interval '5 minutes'";

/** Secrets of one source at once: each request is compared with all of them. */
export const SOURCE_SECRET_LIMIT = 10;

const LIST = statement({
  rows: {
    source: "text",
    fingerprint: "text",
    kept: "bool",
    inEnvironment: "bool",
    addedAt: "timestamptz",
    endsAt: "timestamptz?",
    usedAt: "timestamptz?",
    ended: "bool",
  },
  text: sql`
    SELECT source, fingerprint, sealed IS NOT NULL AS kept, coalesce(seen_at > now() - ${SEEN_WITHIN}, false) AS "inEnvironment",
           added_at AS "addedAt", ends_at AS "endsAt", used_at AS "usedAt", coalesce(ends_at <= now(), false) AS ended
      FROM penstock.source_secrets
     WHERE (${{ only: "text?" }} IS NULL OR source = ${{ only: "text?" }})
       AND (seen_at > now() - ${SEEN_WITHIN} OR sealed IS NOT NULL AND (ends_at IS NULL OR ends_at > now()))
     ORDER BY source, sealed IS NULL, added_at DESC, fingerprint`,
});

/**
 * A secret of a source, as operators see it. `kept`: it is in the database. `inEnvironment`: an ingest has it in its environment.
 * `ended`: nothing that is signed with it is accepted, though it still stands in the environment.
 */
export type SourceSecretRow = RowOf<typeof LIST>;

/** The secrets of a source, or of all sources: those of the database first, the newest first. */
export async function listSourceSecrets(store: Store, source?: string): Promise<SourceSecretRow[]> {
  const { rows } = await query(store.pool, LIST, { only: source });
  return rows;
}

// One change of a source's secrets at a time, or two could each find room for one more.
const LOCK = statement({
  rows: { pg_advisory_xact_lock: "void" },
  text: sql`SELECT pg_advisory_xact_lock(hashtext('penstock.source_secrets'))`,
});

const FORGET_ENDED = statement({
  text: sql`
    DELETE FROM penstock.source_secrets
     WHERE source = ${source} AND sealed IS NOT NULL AND seen_at IS NULL AND ends_at <= now()`,
});

const COUNT = statement({
  rows: { count: "int4" },
  text: sql`
    SELECT count(*)::int FROM penstock.source_secrets
     WHERE source = ${source} AND fingerprint <> ${fingerprint} AND sealed IS NOT NULL`,
});

const ADD = statement({
  text: sql`
    INSERT INTO penstock.source_secrets (source, fingerprint, sealed)
    VALUES (${source}, ${fingerprint}, ${{ sealed: "text" }})
        ON CONFLICT (source, fingerprint) DO UPDATE SET sealed = excluded.sealed, added_at = now(), ends_at = NULL`,
});

const END_OTHERS = statement({
  text: sql`
    UPDATE penstock.source_secrets SET ends_at = now() + make_interval(secs => ${{ overlapMs: "float8" }} / 1000)
     WHERE source = ${source} AND fingerprint <> ${fingerprint}
       AND (ends_at IS NULL OR ends_at > now() + make_interval(secs => ${{ overlapMs: "float8" }} / 1000))`,
});

/** A secret that is sealed for its place, by which it is told from others. */
export interface SealedSecret {
  readonly source: string;
  readonly fingerprint: string;
  readonly sealed: string;
}

/** `full`: the source has as many secrets in the database as it can have. */
export type SecretAdded = "added" | "full";

/** Adds a secret beside those that the source has. */
export async function addSourceSecret(store: Store, secret: SealedSecret, actor: string): Promise<SecretAdded> {
  return write(store, secret, { actor, action: "sources.secrets.add" }, () => Promise.resolve({}));
}

/** Adds a secret, and ends all others of the source after `overlapMs`, those in the environment of ingest included. */
export async function rotateSourceSecret(
  store: Store,
  secret: SealedSecret,
  overlapMs: number,
  actor: string,
): Promise<SecretAdded> {
  return write(store, secret, { actor, action: "sources.secrets.rotate" }, async (client) => {
    await query(client, END_OTHERS, { ...secret, overlapMs });
    return { overlapMs };
  });
}

async function write(
  store: Store,
  secret: SealedSecret,
  entry: { readonly actor: string; readonly action: string },
  also: (client: Queryable) => Promise<Record<string, unknown>>,
): Promise<SecretAdded> {
  return transaction(store, async (client) => {
    await query(client, LOCK);
    await query(client, FORGET_ENDED, secret);
    const { rows } = await query(client, COUNT, secret);
    if ((rows[0]?.count ?? 0) >= SOURCE_SECRET_LIMIT) return "full";
    await query(client, ADD, secret);
    const detail = { fingerprint: secret.fingerprint, ...(await also(client)) };
    await recordAudit(client, { ...entry, target: secret.source, detail });
    return "added";
  });
}

const DELETE = statement({
  text: sql`
    DELETE FROM penstock.source_secrets
     WHERE source = ${source} AND fingerprint = ${fingerprint} AND seen_at IS NULL`,
});

// The mark stays, or what an ingest still has in its environment would count again.
const RETIRE = statement({
  text: sql`
    UPDATE penstock.source_secrets SET sealed = NULL, ends_at = now() WHERE source = ${source} AND fingerprint = ${fingerprint}`,
});

/**
 * Removes a secret: what is signed with it is refused from then on, also where it stands in the environment of ingest. False
 * when the source has none with this fingerprint.
 */
export async function removeSourceSecret(
  store: Store,
  name: { readonly source: string; readonly fingerprint: string },
  actor: string,
): Promise<boolean> {
  return transaction(store, async (client) => {
    await query(client, LOCK);
    const { rowCount: deleted } = await query(client, DELETE, name);
    const { rowCount: retired } = deleted === 1 ? { rowCount: 0 } : await query(client, RETIRE, name);
    if (deleted !== 1 && retired !== 1) return false;
    const detail = { fingerprint: name.fingerprint };
    await recordAudit(client, { actor, action: "sources.secrets.remove", target: name.source, detail });
    return true;
  });
}

const READ_ONE = statement({
  rows: { sealed: "text?" },
  text: sql`
    SELECT sealed FROM penstock.source_secrets WHERE source = ${source} AND fingerprint = ${fingerprint} FOR UPDATE`,
});

/**
 * A secret of the database, for an operator who will see it: `open` opens it, and what it throws leaves no entry in the audit
 * log. Null when the database has none with this fingerprint.
 */
export async function revealSourceSecret(
  store: Store,
  name: { readonly source: string; readonly fingerprint: string },
  open: (sealed: string) => string,
  actor: string,
): Promise<string | null> {
  return transaction(store, async (client) => {
    const sealed = (await query(client, READ_ONE, name)).rows[0]?.sealed ?? null;
    if (sealed === null) return null;
    const opened = open(sealed);
    const detail = { fingerprint: name.fingerprint };
    await recordAudit(client, { actor, action: "sources.secrets.reveal", target: name.source, detail });
    return opened;
  });
}

const RESEAL = statement({
  text: sql`
    UPDATE penstock.source_secrets SET sealed = ${{ sealed: "text" }}
     WHERE source = ${source} AND fingerprint = ${fingerprint}`,
});

/** Seals a secret of the database anew; false when there is none. @throws what `reseal` does; then all is as it was. */
export async function resealSourceSecret(
  store: Store,
  name: { readonly source: string; readonly fingerprint: string },
  reseal: (sealed: string) => string,
  actor: string,
): Promise<boolean> {
  return transaction(store, async (client) => {
    const sealed = (await query(client, READ_ONE, name)).rows[0]?.sealed ?? null;
    if (sealed === null) return false;
    await query(client, RESEAL, { ...name, sealed: reseal(sealed) });
    const detail = { fingerprint: name.fingerprint };
    await recordAudit(client, { actor, action: "sources.secrets.reseal", target: name.source, detail });
    return true;
  });
}
