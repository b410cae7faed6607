import { query, type Store } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";

/** What became of a request with a key: it is to be done now, is under way, was another one, or was answered. */
export type KeyState =
  | { readonly state: "new" | "running" | "other-request" }
  | { readonly state: "done"; readonly status: number; readonly answer: unknown };

// One that was begun and never ended, since its process died, may be begun again after ten minutes.
const BEGIN = statement({
  rows: { begun: "bool" },
  text: sql`
    WITH gone AS (DELETE FROM penstock.idempotency_keys WHERE created_at < now() - interval '1 day')
    INSERT INTO penstock.idempotency_keys AS k (caller, key, request_hash)
    VALUES (${{ caller: "text", key: "text", hash: "bytea" }})
    ON CONFLICT (caller, key) DO UPDATE SET created_at = now()
      WHERE k.status IS NULL AND k.request_hash = excluded.request_hash AND k.created_at < now() - interval '10 minutes'
    RETURNING true AS begun`,
});

const READ = statement({
  rows: { is_same: "bool", status: "int4?", answer: "jsonb" },
  text: sql`
    SELECT request_hash = ${{ hash: "bytea" }} AS is_same, status, answer FROM penstock.idempotency_keys
     WHERE caller = ${{ caller: "text" }} AND key = ${{ key: "text" }}`,
});

const END = statement({
  text: sql`
    UPDATE penstock.idempotency_keys SET status = ${{ status: "int4" }}, answer = ${{ answer: "jsonb?" }}
     WHERE caller = ${{ caller: "text" }} AND key = ${{ key: "text" }}`,
});

const FORGET = statement({
  text: sql`DELETE FROM penstock.idempotency_keys WHERE caller = ${{ caller: "text" }} AND key = ${{ key: "text" }}`,
});

interface KeyOf {
  readonly caller: string;
  readonly key: string;
}

/** Claims a key for a request, or says what has become of it. */
export async function beginIdempotent(store: Store, { caller, key }: KeyOf, hash: Buffer): Promise<KeyState> {
  const { rows } = await query(store.pool, BEGIN, { caller, key, hash });
  if (rows[0]?.begun) return { state: "new" };
  const [known] = (await query(store.pool, READ, { caller, key, hash })).rows;
  if (known === undefined) return { state: "running" };
  if (!known.is_same) return { state: "other-request" };
  return known.status === null ? { state: "running" } : { state: "done", status: known.status, answer: known.answer };
}

/** Keeps the answer to a request. */
export async function endIdempotent(
  store: Store,
  { caller, key }: KeyOf,
  { status, answer }: { readonly status: number; readonly answer: unknown },
): Promise<void> {
  const text = answer === undefined ? null : JSON.stringify(answer);
  await query(store.pool, END, { caller, key, status, answer: text });
}

/** Forgets a request that changed nothing, so that it can be tried again. */
export async function forgetIdempotent(store: Store, { caller, key }: KeyOf): Promise<void> {
  await query(store.pool, FORGET, { caller, key });
}
