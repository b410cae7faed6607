import { toStorableText } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";

/** How many refused requests of each source are kept. */
export const REFUSED_KEPT = 100;

/** A request that was refused, as far as it is kept. */
export interface RefusedRequest {
  readonly source: string;
  readonly agoMs: number;
  readonly reason: string;
  /** What the sender was answered. */
  readonly status: number;
  readonly address: string;
  readonly method: string;
  /** With the names of its query, without their values. */
  readonly path: string;
  /** Those that the source asks for, and no others. */
  readonly headers: Readonly<Record<string, string>>;
  /** Why, in sentences. */
  readonly findings: readonly string[];
  /** Null where it was not read. */
  readonly bodyBytes: number | null;
  readonly bodySha256: string | null;
  /** Null unless its source allows it to be kept. */
  readonly body: Buffer | null;
  /** How many of the source were refused since the one before and are not kept. */
  readonly leftOut: number;
}

const KEEP = statement({
  name: "penstock-keep-refused",
  text: sql`
    WITH kept AS (
      INSERT INTO penstock.refused_requests (source, at, reason, status, address, method, path, headers, findings, body_bytes,
                                             body_sha256, body, left_out)
      SELECT r->>'source', now() - (r->>'agoMs')::float8 * interval '1 millisecond', r->>'reason', (r->>'status')::smallint,
             r->>'address', r->>'method', r->>'path', r->'headers', ARRAY(SELECT jsonb_array_elements_text(r->'findings')),
             (r->>'bodyBytes')::int, r->>'bodySha256', decode(r->>'body', 'base64'), (r->>'leftOut')::int
        FROM jsonb_array_elements(${{ requests: "jsonb" }}) AS r
      RETURNING source
    )
    DELETE FROM penstock.refused_requests old
     USING (SELECT DISTINCT source FROM kept) AS of,
           LATERAL (SELECT id FROM penstock.refused_requests r WHERE r.source = of.source
                     ORDER BY id DESC OFFSET ${REFUSED_KEPT} LIMIT 1) AS last
     WHERE old.source = of.source AND old.id <= last.id`,
});

/** Keeps refused requests, and forgets what is older than the last {@link REFUSED_KEPT} that their sources had before. */
export async function keepRefusedRequests(store: Store, requests: readonly RefusedRequest[]): Promise<void> {
  const rows = requests.map((request) => ({ ...request, body: request.body?.toString("base64") ?? null }));
  const storable = (_: string, value: unknown): unknown => (typeof value === "string" ? toStorableText(value) : value);
  await query(store.pool, KEEP, { requests: JSON.stringify(rows, storable) });
}

const LIST = statement({
  rows: {
    id: "int8",
    source: "text",
    at: "timestamptz",
    reason: "text",
    status: "int2",
    address: "text",
    method: "text",
    path: "text",
    headers: column<Readonly<Record<string, string>>>("jsonb"),
    findings: "text[]",
    bodyBytes: "int4?",
    bodySha256: "text?",
    hasBody: "bool",
    leftOut: "int4",
  },
  text: sql`
    SELECT id, source, at, reason, status, address, method, path, headers, findings, body_bytes AS "bodyBytes",
           body_sha256 AS "bodySha256", body IS NOT NULL AS "hasBody", left_out AS "leftOut"
      FROM penstock.refused_requests
     WHERE (${{ source: "text?" }} IS NULL OR source = ${{ source: "text?" }})
       AND (${{ before: "int8?" }} IS NULL OR id < ${{ before: "int8?" }})
     ORDER BY id DESC LIMIT ${{ limit: "int8" }}`,
});

/** A refused request, without its body. */
export type RefusedRow = Omit<RowOf<typeof LIST>, "id"> & { readonly id: number };

/** The last refused requests, of one source or of all, the newest first; older than the one with the id `before`. */
export async function listRefusedRequests(
  store: Store,
  {
    source,
    before,
    limit = REFUSED_KEPT,
  }: { readonly source?: string; readonly before?: number; readonly limit?: number } = {},
): Promise<RefusedRow[]> {
  const { rows } = await query(store.pool, LIST, { source, before, limit });
  return rows.map((row) => ({ ...row, id: Number(row.id) }));
}
