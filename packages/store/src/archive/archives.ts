import { command, connect, query, type Queryable, type Store } from "../connection/create-store.ts";
import { column, type RowOf, sql, statement } from "../connection/sql.ts";
import { isHalfGone, listDays, partitionOf, readToday } from "../retention/list-days.ts";
import { hasPending } from "../retention/find-holds.ts";

/** What is written of a day, as its manifest has it. */
export interface ArchivedPart {
  readonly name: string;
  readonly events: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly bodyBytes: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** What this database knows of an archived day. What the archive itself has is in its manifest. */
export interface ArchiveRecord {
  readonly day: string;
  readonly url: string;
  readonly parts: readonly ArchivedPart[];
  readonly events: number;
  readonly bytes: number;
  readonly firstSeq: number | null;
  readonly lastSeq: number | null;
  readonly writtenAt: Date | null;
  readonly verifiedAt: Date | null;
  readonly problem: string | null;
  readonly restoredAt: Date | null;
}

const LIST = statement({
  rows: {
    day: "text",
    url: "text",
    parts: column<readonly ArchivedPart[]>("jsonb"),
    events: "int8",
    bytes: "int8",
    first_seq: "int8?",
    last_seq: "int8?",
    written_at: "timestamptz?",
    verified_at: "timestamptz?",
    problem: "text?",
    restored_at: "timestamptz?",
  },
  text: sql`
    SELECT day::text, url, parts, events, bytes, first_seq, last_seq, written_at, verified_at, problem, restored_at
      FROM penstock.archives WHERE ${{ day: "date?" }} IS NULL OR day = ${{ day: "date?" }} ORDER BY day`,
});

function toRecord(row: RowOf<typeof LIST>): ArchiveRecord {
  return {
    day: row.day,
    url: row.url,
    parts: row.parts,
    events: Number(row.events),
    bytes: Number(row.bytes),
    firstSeq: row.first_seq === null ? null : Number(row.first_seq),
    lastSeq: row.last_seq === null ? null : Number(row.last_seq),
    writtenAt: row.written_at,
    verifiedAt: row.verified_at,
    problem: row.problem,
    restoredAt: row.restored_at,
  };
}

/** All days that are archived, or begun, the oldest first. */
export async function listArchives(db: Queryable): Promise<ArchiveRecord[]> {
  return (await query(db, LIST, { day: null })).rows.map(toRecord);
}

export async function findArchive(db: Queryable, day: string): Promise<ArchiveRecord | null> {
  const [row] = (await query(db, LIST, { day })).rows;
  return row === undefined ? null : toRecord(row);
}

const RECORD = statement({
  text: sql`
    INSERT INTO penstock.archives AS a (day, url, parts, events, bytes, first_seq, last_seq, written_at)
    SELECT ${{ day: "date", url: "text" }}, p.parts, p.events, p.bytes, p.first, p.last,
           CASE WHEN ${{ written: "bool" }} THEN now() END
      FROM (SELECT ${{ parts: "jsonb" }} AS parts, coalesce(sum((one->>'events')::int8), 0) AS events,
                   coalesce(sum((one->>'bytes')::int8), 0) AS bytes, min((one->>'firstSeq')::int8) AS first,
                   max((one->>'lastSeq')::int8) AS last
              FROM jsonb_array_elements(${{ parts: "jsonb" }}) AS one) AS p
        ON CONFLICT (day) DO UPDATE
       SET url = excluded.url, parts = excluded.parts, events = excluded.events, bytes = excluded.bytes,
           first_seq = excluded.first_seq, last_seq = excluded.last_seq, written_at = excluded.written_at,
           verified_at = NULL, problem = NULL`,
});

/** Puts on record what is written of a day so far; `written`: all of it, its manifest too. It is not verified then. */
export async function recordArchive(
  db: Queryable,
  { day, url, parts, written }: Pick<ArchiveRecord, "day" | "url" | "parts"> & { readonly written: boolean },
): Promise<void> {
  // A part without events has no place in seqs.
  const placed = parts.filter(({ events }) => events > 0);
  await query(db, RECORD, { day, url, written, parts: JSON.stringify(placed) });
}

const VERIFIED = statement({
  text: sql`
    UPDATE penstock.archives SET verified_at = CASE WHEN ${{ problem: "text?" }} IS NULL THEN now() END, problem = ${{ problem: "text?" }}
     WHERE day = ${{ day: "date" }}`,
});

/** Puts on record what came of reading an archived day back; null: all is as written. */
export async function recordVerification(db: Queryable, day: string, problem: string | null): Promise<void> {
  await query(db, VERIFIED, { day, problem });
}

// Of the session: it goes with the connection, whatever becomes of this process.
const LOCK = statement({
  rows: { mine: "bool" },
  text: sql`SELECT pg_try_advisory_lock(hashtext('penstock.archive')) AS mine`,
});

/** Does `work` while no other process writes archives; null where another one does. */
export async function withArchiveLock<T>(store: Store, work: () => Promise<T>): Promise<T | null> {
  const client = await connect(store);
  let held = false;
  try {
    held = (await query(client, LOCK)).rows[0]?.mine === true;
    return held ? await work() : null;
  } finally {
    client.release(held); // the lock is the connection's
  }
}

const IS_CLOSED = statement({
  rows: { closed: "bool" },
  text: sql`SELECT now() >= ((${{ day: "date" }} + 1)::timestamp AT TIME ZONE 'UTC') + interval '10 minutes' AS closed`,
});

const STANDING = statement({
  rows: { day: "text", url: "text", bytes: "int8", verified: "bool", damaged: "bool", problem: "text?" },
  text: sql`
    SELECT day::text, url, bytes, verified_at IS NOT NULL AS verified, problem IS NOT NULL AS damaged, problem
      FROM penstock.archives ORDER BY day`,
});

/** What there is to say of the archive at an address. */
export interface ArchiveSummary {
  readonly url: string;
  readonly verified: number;
  /** Of these days, compressed. */
  readonly bytes: number;
  /** The newest of them. */
  readonly newest: string | null;
  /** Days that are over and not archived yet. */
  readonly waiting: readonly string[];
  readonly damaged: readonly { readonly day: string; readonly problem: string }[];
}

/** Sums up what this database knows of the archive at an address. */
export async function summariseArchives(store: Store, url: string): Promise<ArchiveSummary> {
  const { rows } = await query(store.pool, STANDING);
  const here = rows.filter((row) => row.url === url);
  const verified = here.filter(({ verified }) => verified);
  const damaged = here.filter(({ damaged }) => damaged);
  return {
    url,
    verified: verified.length,
    bytes: verified.reduce((total, { bytes }) => total + Number(bytes), 0),
    newest: verified.at(-1)?.day ?? null,
    waiting: await listUnarchived(store, url),
    damaged: damaged.map(({ day, problem }) => ({ day, problem: problem ?? "" })),
  };
}

/**
 * The days that are to be archived, the oldest first: all of their events are recorded, no transaction that began before midnight can
 * add one, and this database knows of no verified archive of theirs at this address. `today` is the day that it is.
 */
export async function listUnarchived(store: Store, url: string, today?: string): Promise<string[]> {
  const known = new Map((await query(store.pool, STANDING)).rows.map((row) => [row.day, row]));
  const days: string[] = [];
  for (const stored of await listDays(store.pool, today ?? (await readToday(store.pool)))) {
    const record = known.get(stored.day);
    if (record?.url === url && record.verified) continue;
    if (isHalfGone(stored) || (await hasPending(store.pool, stored.day))) continue;
    if ((await query(store.pool, IS_CLOSED, { day: stored.day })).rows[0]?.closed !== true) continue;
    if (!(await isEmpty(store.pool, stored.day))) days.push(stored.day);
  }
  return days;
}

/** A day without events needs no archive. */
async function isEmpty(db: Queryable, day: string): Promise<boolean> {
  return (await command(db, `SELECT FROM ${partitionOf("events", day)} LIMIT 1`)).rowCount === 0;
}

/** How many events of a day are stored, and between which seqs; also of a day that is half gone. */
export async function readSpan(db: Queryable, day: string) {
  const { rows } = await command<{ events: string; first: string | null; last: string | null }>(
    db,
    `SELECT count(*) AS events, min(seq) AS first, max(seq) AS last FROM ${partitionOf("events", day)}`,
  );
  const [row] = rows;
  const toSeq = (text: string | null | undefined): number | null => (text == null ? null : Number(text));
  return { events: Number(row?.events ?? 0), first: toSeq(row?.first), last: toSeq(row?.last) };
}

/** Why a day that is due may not go yet, where archiving is on; null: its archive was read back and has all of it. */
export async function findUnarchived(db: Queryable, url: string, day: string): Promise<string | null> {
  const record = await findArchive(db, day);
  if (record === null) return (await isEmpty(db, day)) ? null : "it is not archived yet";
  if (record.url !== url) return `it is archived in ${record.url}, and not in ${url}`;
  if (record.problem !== null) return `its archive is not as it was written: ${record.problem}`;
  if (record.writtenAt === null) return "it is not archived to the end yet";
  if (record.verifiedAt === null) return "its archive is not verified yet";
  const { events, first, last } = await readSpan(db, day);
  return covers(record, { events, first, last }) ? null : "it has events that its archive has not";
}

/** Whether an archive has all events of a day: what comes later to a day that is over has a later seq. */
export function covers(
  { events, firstSeq, lastSeq }: Pick<ArchiveRecord, "events" | "firstSeq" | "lastSeq">,
  stored: { readonly events: number; readonly first: number | null; readonly last: number | null },
): boolean {
  if (stored.first === null || stored.last === null) return true;
  return events >= stored.events && (firstSeq ?? Infinity) <= stored.first && (lastSeq ?? -1) >= stored.last;
}
