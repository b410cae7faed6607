interface Queryable {
  query(sql: string, values: unknown[]): Promise<unknown>;
}

// As many to a batch as intake takes at most. The key is keyOfId("buzzbip", id).
const INSERT = `
  WITH drawn AS MATERIALIZED (
    SELECT nextval('penstock.batch_number') AS batch, first FROM generate_series(1, $1::int, 200) AS first
  ), made AS MATERIALIZED (
    SELECT (now() AT TIME ZONE 'UTC')::date AS day, batch, batch * 1024 + n - first AS seq, $2::text || '_' || n AS id, n,
           convert_to(replace($5::text, $2::text, $2::text || '_' || n), 'UTF8') AS body
      FROM drawn, generate_series(first, least(first + 199, $1::int)) AS n
  ), batches AS (
    INSERT INTO penstock.batches (day, batch, received_at, events, meta, bodies)
    SELECT day, batch, now(), count(*),
           json_agg(json_build_object('source', 'buzzbip', 'id', id, 'type', $3::text, 'bytes', octet_length(body)) ORDER BY n),
           string_agg(body, '' ORDER BY n)
      FROM made GROUP BY day, batch
  ), keys AS (
    INSERT INTO penstock.event_keys (key, seq, day, body_hash)
    SELECT encode(substr(sha256('id\\000buzzbip\\000'::bytea || convert_to(id, 'UTF8')), 1, 16), 'hex')::uuid, seq, day,
           md5(body)::uuid
      FROM made
  )
  INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
  SELECT seq, day, now(), 'buzzbip', id, $3::text, ARRAY[$4::text],
         sum(octet_length(body)) OVER (PARTITION BY batch ORDER BY n) - octet_length(body), octet_length(body)
    FROM made`;

/**
 * Stores events that a worker has recorded, each like this one but for its id: `evt_1`, `evt_2` and so on where it is `evt`.
 * They have no deliveries.
 */
export async function addHistory(
  db: Queryable,
  { events, like }: { events: number; like: { id: string; type: string; data: { contactId: string } } },
): Promise<void> {
  await db.query(INSERT, [events, like.id, like.type, like.data.contactId, JSON.stringify(like)]);
}
