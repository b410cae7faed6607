import { randomUUID } from "node:crypto";
import { ISSUE_OPENED, type IssueOpened, type IssueState, OWN_SOURCE } from "@penstock/schemas";
import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { BATCH_EVENTS } from "../events/batch-format.ts";
import type { EventPointer } from "../events/find-events.ts";
import { insertBatch } from "../events/insert-batch.ts";
import type { Fingerprint } from "./fingerprint.ts";

/** One thing that happened and belongs to an issue. */
export interface Occurrence extends Fingerprint {
  readonly at: Date;
  readonly example: EventPointer | null;
  readonly place?: string | null;
}

/** What of an issue was noted, by its fingerprint. */
export interface NotedIssue {
  readonly id: number;
  readonly fingerprint: string;
  readonly isNew: boolean;
  readonly isReopened: boolean;
}

// Locked first, so that what is told of it is what the next statement makes of it.
const LOCK = statement({
  rows: { fingerprint: "text", state: column<IssueState>("text") },
  text: sql`
    SELECT fingerprint, state FROM penstock.issues WHERE fingerprint = ANY(${{ fingerprints: "text[]" }})
     ORDER BY fingerprint FOR UPDATE`,
});

const NOTE = statement({
  rows: {
    id: "int4",
    fingerprint: "text",
    state: column<IssueState>("text"),
    count: "int8",
    first_seen: "timestamptz",
  },
  text: sql`
    INSERT INTO penstock.issues AS i
           (fingerprint, kind, subject, title, place, first_seen, last_seen, count, example_day, example_seq)
    SELECT * FROM unnest(${{ fingerprints: "text[]", kinds: "text[]", subjects: "text[]", titles: "text[]" }},
                         ${{ places: "text[]", firstSeen: "timestamptz[]", lastSeen: "timestamptz[]", counts: "int8[]" }},
                         ${{ days: "date[]", seqs: "int8[]" }})
        ON CONFLICT (fingerprint) DO UPDATE
       SET title = excluded.title, count = i.count + excluded.count, first_seen = least(i.first_seen, excluded.first_seen),
           last_seen = greatest(i.last_seen, excluded.last_seen), place = coalesce(excluded.place, i.place),
           example_day = coalesce(excluded.example_day, i.example_day),
           example_seq = coalesce(excluded.example_seq, i.example_seq),
           (state, changed_at, changed_by, note, reopened) = (
             SELECT CASE WHEN back THEN 'open' ELSE i.state END, CASE WHEN back THEN now() ELSE i.changed_at END,
                    CASE WHEN NOT back THEN i.changed_by END, CASE WHEN NOT back THEN i.note END, i.reopened + back::int
               -- A worker resolves what nothing is left of, and may not have heard of all that came before.
               FROM (SELECT i.state = 'resolved' AND (i.changed_by IS NULL OR excluded.last_seen > i.changed_at)
                            AS back) AS came)
    RETURNING id, fingerprint, state, count, first_seen`,
});

const COUNT_HOURS = statement({
  text: sql`
    INSERT INTO penstock.issue_hours AS h (issue, hour, count)
    SELECT issue, hour, count FROM unnest(${{ issues: "int4[]", hours: "timestamptz[]", counts: "int4[]" }})
                                   AS c (issue, hour, count)
        ON CONFLICT (issue, hour) DO UPDATE SET count = h.count + excluded.count`,
});

const TELL = statement({
  text: sql`
    INSERT INTO penstock.issue_notices (issue, reason)
    SELECT * FROM unnest(${{ issues: "int4[]", reasons: "text[]" }})`,
});

const IS_WANTED = statement({
  text: sql`SELECT FROM penstock.handlers WHERE ${{ type: "text" }} = ANY(types) LIMIT 1`,
});

const EVENT_IDS = statement({
  rows: { seq: "int8", event_id: "text?" },
  text: sql`
    SELECT e.seq, e.event_id FROM unnest(${{ days: "date[]", seqs: "int8[]" }}) AS w (day, seq),
           LATERAL (SELECT seq, event_id FROM penstock.events WHERE day = w.day AND seq = w.seq LIMIT 1) AS e`,
});

const HOUR_MS = 3_600_000;

/**
 * Counts occurrences on their issues and makes those that are new. What is new or has come back is noted for the channels that
 * tell people and, where a handler or an endpoint subscribes to it, is an event of ours, all in this transaction.
 */
export async function noteOccurrences(
  client: pg.PoolClient,
  occurrences: readonly Occurrence[],
): Promise<Map<string, NotedIssue>> {
  if (occurrences.length === 0) return new Map();
  const groups = Array.from(Map.groupBy(occurrences, ({ fingerprint }) => fingerprint).values(), (of) => {
    const sorted = of.toSorted((a, b) => a.at.getTime() - b.at.getTime());
    return { of: sorted, first: sorted[0], last: sorted.at(-1) };
  }).flatMap(({ of, first, last }) => (first && last ? [{ of, first, last }] : []));
  groups.sort((a, b) => (a.first.fingerprint < b.first.fingerprint ? -1 : 1));

  const fingerprints = groups.map(({ first }) => first.fingerprint);
  const before = new Map(
    (await query(client, LOCK, { fingerprints })).rows.map(({ fingerprint, state }) => [fingerprint, state]),
  );
  const { rows } = await query(client, NOTE, {
    fingerprints,
    kinds: groups.map(({ last }) => last.kind),
    subjects: groups.map(({ last }) => last.subject),
    titles: groups.map(({ last }) => last.title),
    places: groups.map(({ last }) => last.place),
    firstSeen: groups.map(({ first }) => first.at),
    lastSeen: groups.map(({ last }) => last.at),
    counts: groups.map(({ of }) => of.length),
    days: groups.map(({ last }) => last.example?.day),
    seqs: groups.map(({ last }) => last.example?.seq),
  });
  const noted = new Map(
    rows.map(({ id, fingerprint, state }): [string, NotedIssue] => {
      const was = before.get(fingerprint);
      const isReopened = was === "resolved" && state === "open";
      return [fingerprint, { id, fingerprint, isNew: was === undefined, isReopened }];
    }),
  );
  const hours = groups.flatMap(({ of, first }) => {
    const { id = 0 } = noted.get(first.fingerprint) ?? {};
    const byHour = Map.groupBy(of, ({ at }) => Math.floor(at.getTime() / HOUR_MS) * HOUR_MS);
    return Array.from(byHour, ([hour, { length }]) => ({ id, hour: new Date(hour), count: length }));
  });
  await query(client, COUNT_HOURS, {
    issues: hours.map(({ id }) => id),
    hours: hours.map(({ hour }) => hour),
    counts: hours.map(({ count }) => count),
  });

  const opened = groups.flatMap(({ last }) => {
    const row = rows.find(({ fingerprint }) => fingerprint === last.fingerprint);
    const issue = noted.get(last.fingerprint);
    return row && issue && (issue.isNew || issue.isReopened) ? [{ row, issue, last }] : [];
  });
  if (opened.length > 0) await tell(client, opened);
  return noted;
}

interface Opened {
  readonly row: { readonly count: string; readonly first_seen: Date };
  readonly issue: NotedIssue;
  readonly last: Occurrence;
}

async function tell(client: pg.PoolClient, opened: readonly Opened[]): Promise<void> {
  await query(client, TELL, {
    issues: opened.map(({ issue }) => issue.id),
    reasons: opened.map(({ issue }) => (issue.isNew ? "opened" : "reopened")),
  });
  if ((await query(client, IS_WANTED, { type: ISSUE_OPENED })).rowCount === 0) return;
  const examples = opened.flatMap(({ last }) => last.example ?? []);
  const ids = await query(client, EVENT_IDS, {
    days: examples.map(({ day }) => day),
    seqs: examples.map(({ seq }) => seq),
  });
  const idOf = new Map(ids.rows.map(({ seq, event_id }) => [Number(seq), event_id]));
  const events = opened.map(({ row, issue, last }) => {
    const data: IssueOpened = {
      issueId: issue.id,
      kind: last.kind,
      subject: last.subject,
      title: last.title,
      reopened: issue.isReopened,
      count: Number(row.count),
      firstSeen: row.first_seen.toISOString(),
      lastSeen: last.at.toISOString(),
      exampleEventId: last.example === null ? null : (idOf.get(last.example.seq) ?? null),
    };
    return toOwnEvent(data, last.at);
  });
  // As intake stores what it has accepted; the sweep gives it a job.
  for (let at = 0; at < events.length; at += BATCH_EVENTS) {
    await insertBatch(client, events.slice(at, at + BATCH_EVENTS));
  }
}

function toOwnEvent(data: IssueOpened, createdAt: Date) {
  const eventId = `evt_${randomUUID().replaceAll("-", "")}`;
  const body = JSON.stringify({ id: eventId, type: ISSUE_OPENED, createdAt: createdAt.toISOString(), data });
  return {
    source: OWN_SOURCE,
    eventId,
    key: null,
    type: ISSUE_OPENED,
    createdAt,
    subjects: [data.subject],
    problem: null,
    traceparent: null,
    bodyVaries: false,
    body: Buffer.from(body),
    replay: null,
  };
}
