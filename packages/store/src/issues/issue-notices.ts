import type { IssueKind } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";

/** What a channel is to tell: issues that are new or have come back since it told the last ones. */
export interface IssueDigest {
  readonly issues: readonly {
    readonly id: number;
    readonly kind: IssueKind;
    readonly subject: string;
    readonly title: string;
    readonly count: number;
    readonly reopened: boolean;
  }[];
  /** How many there are in all; those beyond {@link MOST_TOLD} are left out. */
  readonly total: number;
  /** The notice up to which this tells, for {@link noteTold}. */
  readonly last: number;
}

const MOST_TOLD = 20;
/** A worker that vanishes while it sends leaves its channel to others after this time. */
const LEASE_S = 120;
const FIRST_WAIT_S = 30;
const LONGEST_WAIT_S = 3_600;

const channel = { channel: "text" } as const;

// A channel that is new is told what comes from now on.
const ADD = statement({
  text: sql`
    INSERT INTO penstock.issue_channels (channel, told)
    SELECT ${channel}, coalesce(max(id), 0) FROM penstock.issue_notices
        ON CONFLICT DO NOTHING`,
});

const TAKE = statement({
  rows: { told: "int8" },
  text: sql`
    UPDATE penstock.issue_channels SET leased_until = now() + interval '${LEASE_S} s'
     WHERE channel = ${channel} AND due_at <= now() AND (leased_until IS NULL OR leased_until <= now())
       AND EXISTS (SELECT FROM penstock.issue_notices WHERE id > told)
    RETURNING told`,
});

// Of an issue that has come back twice meanwhile one line is enough, and none of one that is settled.
const READ = statement({
  rows: {
    id: "int4",
    kind: column<IssueKind>("text"),
    subject: "text",
    title: "text",
    count: "int8",
    reopened: "bool",
    total: "int4",
  },
  text: sql`
    SELECT i.id, i.kind, i.subject, i.title, i.count, n.reopened, (count(*) OVER ())::int AS total
      FROM (SELECT issue, bool_and(reason = 'reopened') AS reopened, min(id) AS first FROM penstock.issue_notices
             WHERE id > ${{ told: "int8" }} AND id <= ${{ last: "int8" }} GROUP BY issue) AS n
      JOIN penstock.issues i ON i.id = n.issue
     WHERE i.state IN ('open', 'acknowledged')
     ORDER BY n.first LIMIT ${MOST_TOLD}`,
});

const LAST = statement({
  rows: { last: "int8" },
  text: sql`SELECT coalesce(max(id), 0) AS last FROM penstock.issue_notices`,
});

const TOLD = statement({
  text: sql`
    UPDATE penstock.issue_channels
       SET told = ${{ last: "int8" }}, failures = 0, last_error = NULL, leased_until = NULL,
           due_at = now() + make_interval(secs => ${{ digestMs: "float8" }} / 1000)
     WHERE channel = ${channel}`,
});

const FAILED = statement({
  text: sql`
    UPDATE penstock.issue_channels
       SET failures = failures + 1, last_error = ${{ error: "text" }}, leased_until = NULL,
           due_at = now() + make_interval(secs => least(${LONGEST_WAIT_S}, ${FIRST_WAIT_S} * 2 ^ least(failures, 10)))
     WHERE channel = ${channel}`,
});

/** Makes a channel known: it is told of what happens from then on. */
export async function addIssueChannel(store: Store, channel: string): Promise<void> {
  await query(store.pool, ADD, { channel });
}

/**
 * What a channel is to tell now, which no other worker takes meanwhile; null when there is nothing, or it is not time yet. End it
 * by {@link noteTold} or {@link noteNotTold}: a worker that does neither has another one tell it again.
 */
export async function takeIssueDigest(store: Store, channel: string): Promise<IssueDigest | null> {
  const [taken] = (await query(store.pool, TAKE, { channel })).rows;
  if (taken === undefined) return null;
  const last = Number((await query(store.pool, LAST)).rows[0]?.last ?? 0);
  const { rows } = await query(store.pool, READ, { told: taken.told, last });
  const issues = rows.map(({ id, kind, subject, title, count, reopened }) => ({
    id,
    kind,
    subject,
    title,
    count: Number(count),
    reopened,
  }));
  return { issues, total: rows[0]?.total ?? 0, last };
}

/** Notes that a digest was told: what comes next is gathered for `digestMs`. */
export async function noteTold(
  store: Store,
  channel: string,
  { last, digestMs }: { readonly last: number; readonly digestMs: number },
): Promise<void> {
  await query(store.pool, TOLD, { channel, last, digestMs });
}

/** Notes that a digest could not be told: it is tried again, ever later. */
export async function noteNotTold(store: Store, channel: string, error: string): Promise<void> {
  await query(store.pool, FAILED, { channel, error: error.slice(0, 500) });
}
