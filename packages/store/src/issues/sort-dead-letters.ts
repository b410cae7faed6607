import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { IS_FAILURE } from "../deliveries/list-deliveries.ts";
import { deadLetterFingerprint, type Fingerprint, fingerprint, otherDeadLetters } from "./fingerprint.ts";
import { noteOccurrences, type Occurrence } from "./note-occurrences.ts";

/** How many are sorted in one transaction: some 50 ms. */
export const SORTED_AT_ONCE = 1_000;

/** A handler that puts something new into each error would fill the list: what comes after these is one issue. */
const MOST_ISSUES_OF_ONE = 100;

// The partial index holds what is not sorted yet, but also, until a vacuum, what was: so a look begins a little before the newest that
// was sorted, by which time whatever died before has committed. What has not, or was in an operator's hand, is found by a look at `all`.
const FIND = statement({
  rows: {
    day: "text",
    seq: "int8",
    subscriber: "text",
    changed_at: "timestamptz",
    blocks: "bool",
    error_class: "text?",
    error_message: "text?",
    place: "text?",
  },
  text: sql`
    SELECT d.day::text, d.seq, d.subscriber, d.changed_at,
           d.lane IS NOT NULL AND EXISTS (
             SELECT FROM penstock.handlers h WHERE h.name = d.subscriber AND h.on_dead = 'block') AS blocks,
           a.error_class, a.error_message, a.place
      FROM (SELECT day, seq, subscriber, changed_at, lane FROM penstock.deliveries
             WHERE state = 'dead' AND issue IS NULL
               AND changed_at >= coalesce(
                     (SELECT max(last_seen) - interval '5 min' FROM penstock.issues
                       WHERE kind = 'dead-letter' AND NOT ${{ all: "bool" }}), '-infinity')
             ORDER BY changed_at LIMIT ${SORTED_AT_ONCE} FOR UPDATE SKIP LOCKED) AS d
           LEFT JOIN LATERAL (
             SELECT error_class, error_message, place FROM penstock.attempts a
              WHERE a.day = d.day AND a.seq = d.seq AND a.subscriber = d.subscriber AND ${IS_FAILURE}
              ORDER BY a.started_at DESC LIMIT 1) AS a ON true`,
});

const ISSUES_OF = statement({
  rows: { subject: "text", fingerprints: "text[]" },
  text: sql`
    SELECT subject, array_agg(fingerprint) AS fingerprints FROM penstock.issues
     WHERE kind = 'dead-letter' AND subject = ANY(${{ subjects: "text[]" }})
     GROUP BY subject`,
});

// By ANY, too: of the join alone Postgres reads the whole of a day, until that is large. Not prepared: so is a plan that was made
// when a day was empty.
const SORT = statement({
  text: sql`
    UPDATE penstock.deliveries d SET issue = s.issue
      FROM unnest(${{ days: "date[]", seqs: "int8[]", subscribers: "text[]", issues: "int4[]" }})
             AS s (day, seq, subscriber, issue)
     WHERE d.day = s.day AND d.seq = s.seq AND d.subscriber = s.subscriber
       AND d.day = ANY(${{ days: "date[]" }}) AND d.seq = ANY(${{ seqs: "int8[]" }})`,
});

/** Sorts dead letters that are new into issues; returns how many. A lane that one of them blocks is an issue, too. */
export async function sortDeadLetters(client: pg.PoolClient, all: boolean): Promise<number> {
  const { rows } = await query(client, FIND, { all });
  if (rows.length === 0) return 0;
  const known = await knownFingerprints(client, new Set(rows.map(({ subscriber }) => subscriber)));
  const dead = rows.map((row): Occurrence & { readonly subscriber: string } => {
    const { subscriber, place } = row;
    const of = withinLimits(
      deadLetterFingerprint({ ...row, errorClass: row.error_class, errorMessage: row.error_message }),
      known,
    );
    return { ...of, subscriber, place, at: row.changed_at, example: { day: row.day, seq: Number(row.seq) } };
  });
  const blocking = rows.flatMap((row, at) => (row.blocks ? (dead[at] ?? []) : []));
  const lanes = blocking.map(({ subscriber, at, example }): Occurrence => {
    const title = "lanes wait behind a dead letter";
    return { ...fingerprint("blocked-lane", subscriber, title), at, example };
  });
  const noted = await noteOccurrences(client, [...dead, ...lanes]);
  await query(client, SORT, {
    days: dead.map(({ example }) => example?.day),
    seqs: dead.map(({ example }) => example?.seq),
    subscribers: dead.map(({ subscriber }) => subscriber),
    issues: dead.map((one) => noted.get(one.fingerprint)?.id),
  });
  return rows.length;
}

async function knownFingerprints(
  client: pg.PoolClient,
  subscribers: ReadonlySet<string>,
): Promise<Map<string, Set<string>>> {
  const { rows } = await query(client, ISSUES_OF, { subjects: [...subscribers] });
  return new Map(rows.map(({ subject, fingerprints }) => [subject, new Set(fingerprints)]));
}

/** The fingerprint itself, or the one of all others where its subject has too many. */
function withinLimits(of: Fingerprint, known: Map<string, Set<string>>): Fingerprint {
  const mine = known.get(of.subject) ?? new Set();
  known.set(of.subject, mine);
  if (!mine.has(of.fingerprint) && mine.size >= MOST_ISSUES_OF_ONE) return otherDeadLetters(of.subject);
  mine.add(of.fingerprint);
  return of;
}
