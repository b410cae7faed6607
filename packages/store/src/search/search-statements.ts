import type { EventPointer } from "../events/find-events.ts";
import { MOST_WORDS } from "./search-terms.ts";
import { gapsBetween, UPPER } from "./without-words.ts";
import { column, type Sql, sql, statement } from "../connection/sql.ts";

const types = { types: "text[]?" } as const;
const notTypes = { notTypes: "text[]?" } as const;
const sources = { sources: "text[]?" } as const;
const notSources = { notSources: "text[]?" } as const;
const subjects = { subjects: "text[]?" } as const;
const notSubjects = { notSubjects: "text[]?" } as const;
const notIds = { notIds: "text[]?" } as const;
const handlers = { handlers: "text[]?" } as const;
const notHandlers = { notHandlers: "text[]?" } as const;
const states = { states: "text[]?" } as const;
const notStates = { notStates: "text[]?" } as const;
const statuses = { statuses: "text[]?" } as const;
const since = { since: "timestamptz?" } as const;
const until = { until: "timestamptz?" } as const;
const beforeDay = { beforeDay: "date?" } as const;
const beforeSeq = { beforeSeq: "int8?" } as const;
const probes = { probes: "int8[]?" } as const;
/** How many candidates a step looks at, and how many events it gives. */
const scan = { scan: "int4" } as const;
const wanted = { wanted: "int4" } as const;

/** What is known of an event before a worker has processed it. */
export const ofEvent = sql`
  (${types} IS NULL OR e.type LIKE ANY(${types})) AND (${notTypes} IS NULL OR (e.type LIKE ANY(${notTypes})) IS NOT TRUE)
  AND (${sources} IS NULL OR e.source LIKE ANY(${sources})) AND (${notSources} IS NULL OR NOT e.source LIKE ANY(${notSources}))
  AND (${subjects} IS NULL OR e.subjects && ${subjects}) AND (${notSubjects} IS NULL OR NOT e.subjects && ${notSubjects})
  AND (${notIds} IS NULL OR (e.event_id = ANY(${notIds})) IS NOT TRUE)
  AND (${since} IS NULL OR e.received_at >= ${since}) AND (${until} IS NULL OR e.received_at < ${until})`;

// By LIMIT 1, row by row: an EXISTS may become a join that reads whole tables.
const someDelivery = (which: Sql) => sql`
  (SELECT true FROM penstock.deliveries d WHERE d.day = e.day AND d.seq = e.seq AND ${which} LIMIT 1)`;

// Where the quarantine is asked for, which has no deliveries: of a handler is what it would get.
const ofDeliveries = sql`
  ((${handlers} IS NULL AND ${states} IS NULL)
   OR ${someDelivery(sql`(${handlers} IS NULL OR d.subscriber = ANY(${handlers})) AND (${states} IS NULL OR d.state = ANY(${states}))`)}
   OR (q.seq IS NOT NULL AND ${states} IS NULL AND ${statuses} = ARRAY['quarantined']
       AND e.type = ANY((SELECT array_agg(t) FROM penstock.handlers h, unnest(h.types) AS t WHERE h.name = ANY(${handlers}))::text[])))
  AND (${notHandlers} IS NULL OR ${someDelivery(sql`d.subscriber = ANY(${notHandlers})`)} IS NULL)
  AND (${notStates} IS NULL OR ${someDelivery(sql`d.state = ANY(${notStates})`)} IS NULL)`;

const ofStatus = sql`
  (${statuses} IS NULL OR CASE WHEN q.seq IS NOT NULL THEN 'quarantined' ELSE 'processed' END = ANY(${statuses}))
  AND (NOT ${{ open: "bool" }} OR q.dismissed_at IS NULL)`;

/** The row of the quarantine of `e`, looked up by key: of a join the planner would expect next to no rows. */
const QUARANTINE = `
  LEFT JOIN LATERAL (SELECT * FROM penstock.quarantine WHERE day = e.day AND seq = e.seq LIMIT 1) AS q ON true`;

/** Below the last event of the step before, and in the days that are asked for. */
const within = (table: string) => sql`
  (${beforeDay} IS NULL OR (${table}.day <= ${beforeDay} AND (${table}.day, ${table}.seq) < (${beforeDay}, ${beforeSeq})))
  AND (${since} IS NULL OR ${table}.day >= (${since} AT TIME ZONE 'UTC')::date)
  AND (${until} IS NULL OR ${table}.day <= (${until} AT TIME ZONE 'UTC')::date)`;

const ROWS = {
  found: column<readonly (EventPointer & { readonly receivedAt: string })[]>("jsonb"),
  /** How far the step has looked; null: to the end. */
  day: "text?",
  seq: "int8?",
} as const;

const FOUND = `coalesce((SELECT jsonb_agg(jsonb_build_object('day', day, 'seq', seq, 'receivedAt', received_at)
                                         ORDER BY day DESC, seq DESC) FROM found), '[]')`;

/**
 * A step of a search. `candidates` are runs of events, the newest first, `scan` at most. `next` says where the next step
 * begins, if this one has given fewer events than were wanted.
 */
const stepOf = (candidates: Sql, next: Sql, first = sql``) =>
  statement({
    rows: ROWS,
    // The candidates' order first, so that Postgres sorts run by run and ends when there are enough. The ORDER BY within
    // keeps the lookup a lookup: without it, all of the day may be read for a join.
    text: sql`
      WITH ${first} candidates AS MATERIALIZED (${candidates}), found AS MATERIALIZED (
        SELECT e.day, e.seq, e.received_at FROM candidates c
         CROSS JOIN LATERAL (SELECT * FROM penstock.events WHERE day = c.day AND seq BETWEEN c.seq AND c.last_seq
                                AND (${beforeDay} IS NULL OR (day, seq) < (${beforeDay}, ${beforeSeq}))
                              ORDER BY seq DESC) AS e ${QUARANTINE}
         WHERE ${ofEvent} AND ${ofDeliveries} AND ${ofStatus}
         ORDER BY c.day DESC, c.seq DESC, e.seq DESC LIMIT ${wanted}
      )
      SELECT ${FOUND} AS found, last.day::text, last.seq FROM (SELECT 1) AS one LEFT JOIN LATERAL (
        (SELECT day, seq FROM found WHERE (SELECT count(*) FROM found) = ${wanted} ORDER BY day, seq LIMIT 1)
        UNION ALL
        (SELECT next.day, next.seq FROM (${next}) AS next WHERE (SELECT count(*) FROM found) < ${wanted} LIMIT 1)
      ) AS last ON true`,
  });

/** Below the last candidate, if there were as many as were looked for. */
const LAST_CANDIDATE = sql`
  SELECT day, seq FROM candidates WHERE (SELECT count(*) FROM candidates) = ${scan} ORDER BY day, seq LIMIT 1`;

const ofKeys = (keys: Sql) =>
  stepOf(
    sql`SELECT day, seq, seq AS last_seq FROM (${keys}) AS k ORDER BY day DESC, seq DESC LIMIT ${scan}`,
    LAST_CANDIDATE,
  );

// Index by index: each state (and each handler) has its own run of the index, in the order of the keys.
const newestOf = (which: string) => sql`
  SELECT day, seq FROM penstock.deliveries d
   WHERE ${which} AND d.state = s.state AND d.state <> 'succeeded' AND ${within("d")}
   ORDER BY d.day DESC, d.seq DESC LIMIT ${scan}`;

/** A word stands in a run only if all its places are set. */
const mayHave = Array.from(
  { length: MOST_WORDS * 8 },
  (_, nth) => `get_bit(r.words, ($probes)[${nth + 1}] % (8 * octet_length(r.words))) = 1`,
).map((test) => {
  const [before = "", after = ""] = test.split("$probes");
  return sql`${before}${probes}${after}`;
});

const RUNS = 64;

// Where the step ends is read from the index alone, and so is where filters are missing. What is between is then read in
// whatever order costs least, and only what may have the words is sorted: a sort of the filters themselves would copy each.
const lastOf = (table: string, count: number | typeof scan) => sql`
  (SELECT day, seq FROM ${table} WHERE (SELECT count(*) FROM ${table}) = ${count} ORDER BY day, seq LIMIT 1)`;
const mayBeIn = sql`
  SELECT day, seq, last_seq FROM penstock.event_words r
   WHERE ${within("r")}
     AND (r.day, r.seq) >= (coalesce((SELECT day FROM last_run), '-infinity'), coalesce((SELECT seq FROM last_run), 0))
     AND (${until} IS NULL OR r.received_at < ${until}) AND (${since} IS NULL OR r.received_at >= ${since})
     AND (r.words IS NULL OR (${mayHave.reduce((all, test) => sql`${all} AND ${test}`)}))
   ORDER BY r.day DESC, r.seq DESC LIMIT ${RUNS}`;
// The gaps' order first, so that Postgres sorts gap by gap and ends when there are enough.
const unfiltered = sql`
  SELECT x.day, x.seq, x.seq AS last_seq FROM gaps CROSS JOIN LATERAL (
    SELECT day, seq FROM penstock.events g
     WHERE ${within("g")} AND g.day BETWEEN low_day AND high_day
       AND (g.day, g.seq) >= (low_day, low_seq) AND (g.day, g.seq) < (high_day, high_seq)
     ORDER BY g.day DESC, g.seq DESC LIMIT ${scan}) AS x
   ORDER BY high_day DESC, high_seq DESC, x.day DESC, x.seq DESC LIMIT ${scan}`;
const ofWords = stepOf(
  sql`
    SELECT * FROM (TABLE may_have UNION ALL TABLE unfiltered) AS c
     WHERE (SELECT day FROM step_end) IS NULL OR (c.day, c.seq) >= ((SELECT day FROM step_end), (SELECT seq FROM step_end))
     ORDER BY c.day DESC, c.seq DESC`,
  sql`TABLE step_end`,
  sql`
    runs AS MATERIALIZED (
      SELECT day, seq, ${UPPER} FROM penstock.event_words w WHERE ${within("w")} ORDER BY day DESC, seq DESC LIMIT ${scan}),
    last_run AS MATERIALIZED (${lastOf("runs", scan)}),
    gaps AS MATERIALIZED (${gapsBetween("runs", sql`(SELECT count(*) FROM runs) < ${scan}`)}),
    may_have AS MATERIALIZED (${mayBeIn}),
    unfiltered AS MATERIALIZED (${unfiltered}),
    step_end AS MATERIALIZED (
      SELECT * FROM (TABLE last_run UNION ALL ${lastOf("may_have", RUNS)} UNION ALL ${lastOf("unfiltered", scan)}) AS ends
       ORDER BY day DESC, seq DESC LIMIT 1),`,
);

/** By what is looked at first: what is known to be rare. */
export const STEPS = {
  events: ofKeys(sql`SELECT day, seq FROM penstock.events x WHERE ${within("x")}`),
  named: ofKeys(sql`
    SELECT day, seq FROM unnest(${{ days: "date[]?", seqs: "int8[]?" }}) AS x (day, seq) WHERE ${within("x")}`),
  quarantined: ofKeys(sql`
    SELECT day, seq FROM penstock.quarantine x WHERE ${within("x")} AND (NOT ${{ open: "bool" }} OR x.dismissed_at IS NULL)`),
  ofState: ofKeys(sql`
    SELECT DISTINCT k.day, k.seq FROM unnest(${states}) AS s (state), LATERAL (${newestOf("true")}) AS k`),
  ofHandler: ofKeys(sql`
    SELECT DISTINCT k.day, k.seq FROM unnest(${states}) AS s (state), unnest(${handlers}) AS h (name),
           LATERAL (${newestOf("d.subscriber = h.name")}) AS k`),
  ofWords,
};
