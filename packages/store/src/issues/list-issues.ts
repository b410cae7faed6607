import type { IssueKind, IssueState } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, type RowOf, type Sql, sql, statement } from "../connection/sql.ts";

/** An issue as operators see it. */
export interface IssueRow {
  readonly id: number;
  readonly kind: IssueKind;
  /** The handler, the endpoint or the source. */
  readonly subject: string;
  readonly title: string;
  /** Where in the handler's code its newest error came from, as `file:line:column`. */
  readonly place: string | null;
  readonly state: IssueState;
  /** When it came into its state, and by whom; null: by a worker. */
  readonly changedAt: string;
  readonly changedBy: string | null;
  readonly note: string | null;
  readonly firstSeen: string;
  readonly lastSeen: string;
  /** How often it has occurred, over all time. */
  readonly count: number;
  /** How often it came back after it was resolved. */
  readonly reopened: number;
  /** What is left of it: dead letters, events in quarantine, blocked deliveries; counted up to {@link ISSUE_COUNT_LIMIT}. Null where only a person can tell. */
  readonly left: number | null;
  /** Of its dead letters, those that are being tried again; counted as far. */
  readonly retrying: number;
  /** The event of its newest occurrence; the source is null once the event is gone. */
  readonly example: {
    readonly day: string;
    readonly seq: number;
    readonly eventId: string | null;
    readonly source: string | null;
  } | null;
}

/** An issue with its occurrences over time. */
export interface IssueDetail extends IssueRow {
  /** By hour in which something occurred, of the last 30 days, the oldest first. */
  readonly hours: readonly { readonly hour: string; readonly count: number }[];
  /** Replays that were asked for it, the newest first. */
  readonly replays: readonly string[];
}

/** Counting more would cost more than the number is worth. */
export const ISSUE_COUNT_LIMIT = 10_000;

const counted = (from: string): string =>
  `(SELECT count(*)::int FROM (SELECT FROM ${from} LIMIT ${ISSUE_COUNT_LIMIT}) AS some_of)`;

const COLUMNS = {
  id: "int4",
  kind: column<IssueKind>("text"),
  subject: "text",
  title: "text",
  place: "text?",
  state: column<IssueState>("text"),
  changed_at: "timestamptz",
  changed_by: "text?",
  note: "text?",
  first_seen: "timestamptz",
  last_seen: "timestamptz",
  count: "int8",
  reopened: "int4",
  left_of: "int4?",
  retrying: "int4",
  example_day: "text?",
  example_seq: "int8?",
  example_id: "text?",
  example_source: "text?",
} as const;

const rowsOf = <Values>(issues: Sql<Values>) => sql`
  SELECT i.id, i.kind, i.subject, i.title, i.place, i.state, i.changed_at, i.changed_by, i.note, i.first_seen, i.last_seen,
         i.count, i.reopened,
         CASE i.kind
           WHEN 'dead-letter' THEN ${counted("penstock.deliveries WHERE issue = i.id AND state = 'dead'")}
           WHEN 'quarantine' THEN ${counted("penstock.quarantine WHERE issue = i.id AND dismissed_at IS NULL")}
           WHEN 'blocked-lane' THEN
             ${counted("penstock.deliveries WHERE subscriber = i.subject AND state = 'dead' AND lane IS NOT NULL")}
           WHEN 'failing-endpoint' THEN
             ${counted("penstock.endpoints WHERE id = i.subject AND (parks > 0 OR disabled_at IS NOT NULL)")}
         END AS left_of,
         ${counted("penstock.deliveries WHERE issue = i.id AND state IN ('pending', 'running', 'retrying')")} AS retrying,
         i.example_day::text, i.example_seq,
         (SELECT event_id FROM penstock.events WHERE day = i.example_day AND seq = i.example_seq) AS example_id,
         (SELECT source FROM penstock.events WHERE day = i.example_day AND seq = i.example_seq) AS example_source
    FROM (${issues}) AS i`;

const id = { id: "int4" } as const;
const states = { states: "text[]?" } as const;
const kind = { kind: "text?" } as const;
const subject = { subject: "text?" } as const;
const after = { after: "int4?" } as const;

const LIST = statement({
  rows: COLUMNS,
  text: sql`
    ${rowsOf(sql`
      SELECT * FROM penstock.issues
       WHERE (${states} IS NULL OR state = ANY(${states})) AND (${kind} IS NULL OR kind = ${kind})
         AND (${subject} IS NULL OR subject = ${subject})
         AND (${after} IS NULL OR (last_seen, id) < (SELECT last_seen, id FROM penstock.issues WHERE id = ${after}))
       ORDER BY last_seen DESC, id DESC LIMIT ${{ limit: "int8" }}`)}
    ORDER BY i.last_seen DESC, i.id DESC`,
});

const SHOW = statement({ rows: COLUMNS, text: rowsOf(sql`SELECT * FROM penstock.issues WHERE id = ${id}`) });

const HOURS = statement({
  rows: { hour: "timestamptz", count: "int4" },
  text: sql`
    SELECT hour, count FROM penstock.issue_hours
     WHERE issue = ${id} AND hour >= now() - interval '30 days' ORDER BY hour`,
});

const REPLAYS = statement({
  rows: { id: "text" },
  text: sql`SELECT id FROM penstock.replays WHERE issue = ${id} ORDER BY created_at DESC LIMIT 20`,
});

export interface IssueFilter {
  /** All unless given. */
  readonly states?: readonly IssueState[];
  readonly kind?: IssueKind;
  /** The handler, the endpoint or the source. */
  readonly subject?: string;
}

/** The issues that match, those that occurred last first; after the one with this id, page by page. */
export async function listIssues(
  store: Store,
  { states, kind, subject }: IssueFilter = {},
  { limit = 20, after }: { readonly limit?: number; readonly after?: number } = {},
): Promise<IssueRow[]> {
  const { rows } = await query(store.pool, LIST, { states, kind, subject, after, limit });
  return rows.map(toIssueRow);
}

/** An issue with its occurrences by hour and its replays; null when there is none. */
export async function showIssue(store: Store, id: number): Promise<IssueDetail | null> {
  const [row] = (await query(store.pool, SHOW, { id })).rows;
  if (row === undefined) return null;
  const [hours, replays] = await Promise.all([query(store.pool, HOURS, { id }), query(store.pool, REPLAYS, { id })]);
  return {
    ...toIssueRow(row),
    hours: hours.rows.map(({ hour, count }) => ({ hour: hour.toISOString(), count })),
    replays: replays.rows.map((replay) => replay.id),
  };
}

function toIssueRow(row: RowOf<typeof SHOW>): IssueRow {
  const { example_day: day, example_seq: seq } = row;
  return {
    id: row.id,
    kind: row.kind,
    subject: row.subject,
    title: row.title,
    place: row.place,
    state: row.state,
    changedAt: row.changed_at.toISOString(),
    changedBy: row.changed_by,
    note: row.note,
    firstSeen: row.first_seen.toISOString(),
    lastSeen: row.last_seen.toISOString(),
    count: Number(row.count),
    reopened: row.reopened,
    left: row.left_of,
    retrying: row.retrying,
    example:
      day === null || seq === null
        ? null
        : { day, seq: Number(seq), eventId: row.example_id, source: row.example_source },
  };
}
