import { query, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";

/** A replay and its progress. */
export interface ReplayRow {
  readonly id: string;
  /** `running`: the replay still hands out deliveries, or some of its deliveries have not ended. */
  readonly status: "running" | "done" | "cancelled";
  readonly request: Readonly<Record<string, unknown>>;
  readonly reason: string | null;
  /** Deliveries found so far that match. */
  readonly matched: number;
  /** Matching deliveries that the replay has handed out. */
  readonly enqueued: number;
  /** Matching deliveries that were not handed out: they wait or run anyway, or their event is still not understood. */
  readonly skipped: number;
  /** Enqueued deliveries that were put back when the replay was cancelled, since they had not started. */
  readonly undone: number;
  /** Enqueued deliveries that have ended, whether they succeeded or failed. */
  readonly done: number;
  /** Whether everything that matches has been found. */
  readonly complete: boolean;
  readonly createdAt: string;
  readonly endedAt: string | null;
}

/** A replay with its deliveries by state. */
export interface ReplayDetail extends ReplayRow {
  readonly states: Readonly<Record<string, number>>;
  /** Why some deliveries of the replay do not go on, which may keep it from handing out more. */
  readonly heldUpBy: {
    /** Paused handlers of deliveries that wait. */
    readonly paused: readonly string[];
    /** How many deliveries wait behind the head of a lane. */
    readonly inLanes: number;
  };
}

// Deliveries of an event that was made with another body have no replay_id: the event has.
const STATES = `
  SELECT d.state FROM penstock.deliveries d WHERE d.replay_id = r.id
  UNION ALL
  SELECT d.state FROM penstock.deliveries d
   WHERE d.day = (r.created_at AT TIME ZONE 'UTC')::date AND d.seq = r.body_seq AND d.replay_id IS NULL
  UNION ALL
  SELECT 'pending' FROM penstock.pending p WHERE p.batch = r.body_seq / 1024`;

const ROW = {
  id: "text",
  status: column<ReplayRow["status"]>("text"),
  request: column<Record<string, unknown>>("jsonb"),
  reason: "text?",
  matched: "int8",
  enqueued: "int8",
  undone: "int8",
  exhausted: "bool",
  created_at: "timestamptz",
  ended_at: "timestamptz?",
  open: "int8",
} as const;
const COLUMNS = `
  r.id, r.status, r.request, r.reason, r.matched, r.enqueued, r.undone, r.exhausted, r.created_at, r.ended_at,
  (SELECT count(*) FROM (${STATES}) AS s WHERE s.state IN ('pending', 'running', 'retrying')) AS open`;

const before = { before: "timestamptz?" } as const;

const LIST = statement({
  rows: ROW,
  text: sql`
    SELECT ${COLUMNS} FROM penstock.replays r
     WHERE ${before} IS NULL OR (r.created_at, r.id) < (${before}, ${{ beforeId: "text?" }})
     ORDER BY r.created_at DESC, r.id DESC LIMIT ${{ limit: "int8" }}`,
});

/** Replays, the newest first. */
export async function listReplays(
  store: Store,
  { limit = 20, before }: { readonly limit?: number; readonly before?: ReplayRow } = {},
): Promise<ReplayRow[]> {
  const values = { before: before?.createdAt, beforeId: before?.id, limit };
  const { rows } = await query(store.pool, LIST, values);
  return rows.map(toReplay);
}

const SHOW = statement({
  rows: { ...ROW, states: column<Record<string, number> | null>("jsonb"), paused: "text[]", in_lanes: "int4" },
  text: sql`
    SELECT ${COLUMNS},
           (SELECT jsonb_object_agg(state, n) FROM (
              SELECT s.state, count(*) AS n FROM (${STATES}) AS s GROUP BY s.state) AS c) AS states,
           ARRAY(SELECT h.name FROM penstock.handlers h
                  WHERE h.paused_at IS NOT NULL AND EXISTS (
                        SELECT FROM penstock.deliveries d
                         WHERE d.replay_id = r.id AND d.state IN ('pending', 'retrying') AND d.subscriber = h.name)
                  ORDER BY 1) AS paused,
           (SELECT count(*)::int FROM penstock.deliveries d
             WHERE d.replay_id = r.id AND d.state = 'pending' AND d.lane IS NOT NULL AND d.next_attempt_at IS NULL)
             AS in_lanes
      FROM penstock.replays r WHERE r.id = ${{ id: "text" }}`,
});

/** One replay with its deliveries by state; null when no replay has this id. */
export async function showReplay(store: Store, id: string): Promise<ReplayDetail | null> {
  const [row] = (await query(store.pool, SHOW, { id })).rows;
  if (row === undefined) return null;
  return { ...toReplay(row), states: row.states ?? {}, heldUpBy: { paused: row.paused, inLanes: row.in_lanes } };
}

function toReplay(row: RowOf<typeof LIST>): ReplayRow {
  const [matched, enqueued, undone] = [Number(row.matched), Number(row.enqueued), Number(row.undone)];
  return {
    id: row.id,
    status: row.status,
    request: row.request,
    reason: row.reason,
    matched,
    enqueued,
    skipped: matched - enqueued,
    undone,
    done: row.status === "done" ? enqueued : Math.max(0, enqueued - undone - Number(row.open)),
    complete: row.exhausted,
    createdAt: row.created_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
  };
}
