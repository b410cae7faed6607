import { query, type Store } from "../connection/create-store.ts";
import { type RowOf, sql, statement } from "../connection/sql.ts";

const READ = statement({
  name: "penstock-source-secrets",
  rows: { source: "text", fingerprint: "text", sealed: "text?", ended: "bool" },
  text: sql`
    SELECT source, fingerprint, sealed, coalesce(ends_at <= now(), false) AS ended FROM penstock.source_secrets
     ORDER BY source, added_at DESC, fingerprint`,
});

/** What ingest needs to know of a secret. `sealed` is null for one that is in the environment alone. */
export type LiveSecretRow = RowOf<typeof READ>;

/** The secrets of all sources, the newest of each first, with those in environments that are marked. */
export async function readLiveSecrets(store: Store): Promise<LiveSecretRow[]> {
  const { rows } = await query(store.pool, READ);
  return rows;
}

const REGISTER = statement({
  text: sql`
    INSERT INTO penstock.source_secrets (source, fingerprint, seen_at)
    SELECT source, fingerprint, now()
      FROM unnest(${{ sources: "text[]", fingerprints: "text[]" }}) AS had (source, fingerprint) ORDER BY 1, 2
        ON CONFLICT (source, fingerprint) DO UPDATE SET seen_at = now()`,
});

/** Says which secrets an ingest has in its environment. */
export async function registerEnvironmentSecrets(
  store: Store,
  secrets: readonly { readonly source: string; readonly fingerprint: string }[],
): Promise<void> {
  await query(store.pool, REGISTER, {
    sources: secrets.map(({ source }) => source),
    fingerprints: secrets.map(({ fingerprint }) => fingerprint),
  });
}

// Locked in one order, or two ingests could wait for each other.
const USED = statement({
  name: "penstock-source-secrets-used",
  text: sql`
    WITH used AS MATERIALIZED (
      SELECT s.source, s.fingerprint, now() - ago * interval '1 millisecond' AS at
        FROM unnest(${{ sources: "text[]", fingerprints: "text[]", ago: "float8[]" }}) AS told (source, fingerprint, ago)
        JOIN penstock.source_secrets s USING (source, fingerprint) ORDER BY 1, 2 FOR UPDATE OF s
    )
    UPDATE penstock.source_secrets s SET used_at = greatest(s.used_at, used.at) FROM used
     WHERE s.source = used.source AND s.fingerprint = used.fingerprint`,
});

/** A secret that verified a request, and how long ago. */
export interface SecretUse {
  readonly source: string;
  readonly fingerprint: string;
  readonly agoMs: number;
}

/** Says which secrets were used, and when; of one that was removed nothing is kept. */
export async function recordSecretUses(store: Store, uses: readonly SecretUse[]): Promise<void> {
  await query(store.pool, USED, {
    sources: uses.map(({ source }) => source),
    fingerprints: uses.map(({ fingerprint }) => fingerprint),
    ago: uses.map(({ agoMs }) => agoMs),
  });
}
