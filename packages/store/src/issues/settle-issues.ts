import type pg from "pg";
import { query } from "../connection/create-store.ts";
import { sql, statement } from "../connection/sql.ts";
import { IS_DOWN } from "./note-failing-endpoints.ts";

/**
 * Whether something of an issue `i` is left that needs a person: a dead letter, also one that is being tried again; an event in
 * quarantine that nobody dismissed; a lane that waits, an endpoint that is down, a source that has sent nothing since. Of other kinds only a person can tell.
 */
const IS_LEFT = `
  CASE i.kind
    WHEN 'dead-letter' THEN EXISTS (
      SELECT FROM penstock.deliveries d
       WHERE d.issue = i.id AND d.state IN ('dead', 'pending', 'running', 'retrying'))
    WHEN 'quarantine' THEN EXISTS (
      SELECT FROM penstock.quarantine q WHERE q.issue = i.id AND q.dismissed_at IS NULL)
    WHEN 'blocked-lane' THEN EXISTS (
      SELECT FROM penstock.deliveries d WHERE d.subscriber = i.subject AND d.state = 'dead' AND d.lane IS NOT NULL)
    WHEN 'failing-endpoint' THEN EXISTS (SELECT FROM penstock.endpoints e WHERE e.id = i.subject AND ${IS_DOWN})
    WHEN 'silent-source' THEN NOT EXISTS (
      SELECT FROM penstock.source_activity a WHERE a.source = i.subject AND a.event_at > i.last_seen)
    ELSE true END`;

// Else what comes back after a repair would be told to nobody: an issue that is open is not opened again.
const RESOLVE = statement({
  text: sql`
    UPDATE penstock.issues i SET state = 'resolved', changed_at = now(), changed_by = NULL, note = NULL
     WHERE i.state IN ('open', 'acknowledged') AND NOT ${IS_LEFT}`,
});

const KEPT_DAYS = 30;

const FORGET_HOURS = statement({
  text: sql`DELETE FROM penstock.issue_hours WHERE hour < now() - interval '${KEPT_DAYS} days'`,
});

const FORGET_NOTICES = statement({
  text: sql`DELETE FROM penstock.issue_notices WHERE noted_at < now() - interval '${KEPT_DAYS} days'`,
});

/** Resolves issues of which nothing is left, and forgets what is old of all; returns how many it resolved. */
export async function settleIssues(client: pg.PoolClient): Promise<number> {
  const [{ rowCount }] = await Promise.all([
    query(client, RESOLVE),
    query(client, FORGET_HOURS),
    query(client, FORGET_NOTICES),
  ]);
  return rowCount ?? 0;
}
