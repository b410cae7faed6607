import { query, type Queryable } from "../connection/create-store.ts";
import { type RowOf, sql, statement } from "../connection/sql.ts";

/** How many weeks are compared, and how many there have to be. */
const WEEKS = 6;
const LEAST_WEEKS = 3;
/** From so many on, the one with the fewest does not count: a holiday or an outage would make the source look quiet. */
const ENOUGH_TO_LEAVE_ONE_OUT = 5;
/** A source that sent fewer in the same hours of other weeks can be silent by chance. */
const LEAST_REQUESTS = 5;
const DAY_MS = 86_400_000;

/** A source to look at, with how long it may be silent: null learns it from the weeks before, false is for ever. */
export interface WatchedSource {
  readonly name: string;
  readonly silentAfterMs: number | false | null;
}

/**
 * `sends`: as far as can be told. `silent`: nothing came although it should. `learning`: of too few weeks is known what it sends.
 * `new`: it has never sent. `unheard`: no ingest listens to it. `unwatched`: its settings say that it may be silent.
 */
export type SilenceState = "sends" | "silent" | "learning" | "new" | "unheard" | "unwatched";

/** Whether a source sends what it usually sends. */
export interface SourceSilence {
  readonly source: string;
  readonly state: SilenceState;
  readonly lastEventAt: Date | null;
  /** How many requests it sent at least in other weeks, in the hours in which none came now; null: not learnt. */
  readonly usual: number | null;
  /** From when on enough weeks are known; null where that is not waited for. */
  readonly learnsUntil: Date | null;
  /** Whether an issue tells of this silence. */
  readonly isNoted: boolean;
  /** The clock of Postgres. */
  readonly now: Date;
}

// Whole hours alone, and ten minutes of grace after the last one: what comes once an hour comes a little earlier or later. No more
// than a week, or the silence would be compared with itself. Weeks are of 168 hours, whatever a time zone does meanwhile.
const READ = statement({
  rows: {
    source: "text",
    last_event_at: "timestamptz?",
    counted_since: "timestamptz?",
    is_heard: "bool",
    quiet_ms: "float8?",
    is_noted: "bool",
    weeks: "int8[]",
    now: "timestamptz",
  },
  text: sql`
    SELECT w.source, a.event_at AS last_event_at, a.counted_since,
           coalesce(a.listened_at > now() - interval '5 minutes', false) AS is_heard,
           (extract(epoch FROM now() - quiet.since) * 1000)::float8 AS quiet_ms,
           EXISTS (SELECT FROM penstock.issues i
                    WHERE i.kind = 'silent-source' AND i.subject = w.source AND i.last_seen > a.event_at) AS is_noted,
           ARRAY(SELECT (SELECT coalesce(sum(h.requests), 0)::int8 FROM penstock.source_hours h
                          WHERE h.source = w.source AND h.hour >= hours.first - week.ago AND h.hour < hours.until - week.ago)
                   FROM (SELECT n * interval '168 hours' AS ago FROM generate_series(1, ${WEEKS}) AS n) AS week
                  WHERE hours.first - week.ago >= a.counted_since
                  ORDER BY 1) AS weeks,
           now() AS now
      FROM unnest(${{ sources: "text[]" }}) AS w (source)
      LEFT JOIN penstock.source_activity a ON a.source = w.source
      CROSS JOIN LATERAL (SELECT greatest(a.event_at, a.listening_since) AS since) AS quiet
      CROSS JOIN LATERAL (SELECT date_trunc('hour', quiet.since, 'UTC') + interval '1 hour' AS first) AS begin
      CROSS JOIN LATERAL (
        SELECT begin.first, least(date_trunc('hour', now() - interval '10 minutes', 'UTC'),
                                  begin.first + interval '168 hours') AS until) AS hours`,
});

/**
 * Tells of each source whether it has gone silent: by its settings, or since it sent in the same hours of each of the weeks before.
 * However many events are stored, it reads some rows for each hour and source.
 */
export async function readSilence(db: Queryable, watched: readonly WatchedSource[]): Promise<SourceSilence[]> {
  const { rows } = await query(db, READ, { sources: watched.map(({ name }) => name) });
  const settings = new Map(watched.map(({ name, silentAfterMs }) => [name, silentAfterMs]));
  return rows.map((row) => judge(row, settings.get(row.source) ?? null));
}

type Row = RowOf<typeof READ>;

function judge(row: Row, silentAfterMs: number | false | null): SourceSilence {
  const { source, last_event_at: lastEventAt, counted_since: since, quiet_ms: quietMs, now } = row;
  const usual = silentAfterMs === null ? usualOf(row) : null;
  const knownAt = since === null ? null : new Date(since.getTime() + (LEAST_WEEKS * 7 + 1) * DAY_MS);
  const learnsUntil = silentAfterMs === null && knownAt !== null && knownAt > now ? knownAt : null;
  const state = (): SilenceState => {
    if (silentAfterMs === false) return "unwatched";
    if (lastEventAt === null) return "new";
    // Until it sends again, whatever is known of its weeks by then.
    if (row.is_noted) return "silent";
    if (!row.is_heard || quietMs === null) return "unheard";
    if (silentAfterMs !== null) return quietMs > silentAfterMs ? "silent" : "sends";
    if (usual === null) return learnsUntil === null ? "sends" : "learning";
    return usual >= LEAST_REQUESTS ? "silent" : "sends";
  };
  return { source, state: state(), lastEventAt, usual, learnsUntil, isNoted: row.is_noted, now };
}

/** The least of the weeks before, in the hours in which nothing came now. */
function usualOf({ weeks }: Row): number | null {
  if (weeks.length < LEAST_WEEKS) return null;
  return Number(weeks[weeks.length >= ENOUGH_TO_LEAVE_ONE_OUT ? 1 : 0]);
}

const FORGET = statement({
  text: sql`
    DELETE FROM penstock.source_hours h USING penstock.source_activity a
     WHERE a.source = h.source AND h.hour < coalesce(a.event_at, now()) - ${WEEKS + 2} * interval '168 hours'`,
});

/** Forgets the hours that no silence is compared with any more: those long before the last event of their source. */
export async function forgetSourceHours(db: Queryable): Promise<void> {
  await query(db, FORGET);
}
