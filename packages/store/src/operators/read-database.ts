import { query, type Store } from "../connection/create-store.ts";
import { type RowOf, sql, statement } from "../connection/sql.ts";
import { readBacklog } from "../events/read-backlog.ts";

/** A table, with all its partitions, indexes and what is stored apart. */
export interface TableSize {
  readonly schema: string;
  readonly name: string;
  readonly bytes: number;
  /** As Postgres estimates. */
  readonly rows: number;
  /** Versions of rows that no transaction sees any more and no vacuum has taken away. */
  readonly deadRows: number;
  /** 0: it has no partitions. */
  readonly partitions: number;
  /** When a vacuum was last there, of any partition. */
  readonly vacuumedAt: string | null;
}

/** What was received on a day (UTC) takes. */
export interface DaySize {
  readonly day: string;
  readonly bytes: number;
  /** By table. */
  readonly tables: Readonly<Record<string, number>>;
}

export interface OldTransaction {
  readonly pid: number;
  readonly application: string;
  readonly state: string;
  readonly seconds: number;
}

/** The database as operators see it. */
export interface DatabaseState {
  readonly version: string;
  readonly bytes: number;
  readonly connections: { readonly used: number; readonly max: number };
  readonly tables: readonly TableSize[];
  /** The newest first; those that nothing was received on yet are left out. */
  readonly days: readonly DaySize[];
  /** The one that began first and is under way: vacuum takes nothing away that it may see. Null without any. */
  readonly oldestTransaction: OldTransaction | null;
  readonly backlog: { readonly pendingEvents: number; readonly oldestPendingSeconds: number };
}

const TABLES = statement({
  rows: {
    schema: "name",
    name: "name",
    day: "text?",
    ahead: "bool",
    bytes: "int8",
    rows: "int8",
    dead: "int8",
    vacuumed_at: "timestamptz?",
  },
  text: sql`
    SELECT n.nspname AS schema, coalesce(parent.relname, c.relname) AS name, of_day::text AS day,
           coalesce(of_day > (now() AT TIME ZONE 'UTC')::date, false) AS ahead,
           pg_total_relation_size(c.oid) AS bytes, greatest(coalesce(s.n_live_tup, 0), c.reltuples, 0)::int8 AS rows,
           coalesce(s.n_dead_tup, 0) AS dead, greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
      LEFT JOIN pg_catalog.pg_class parent ON parent.oid = i.inhparent
      LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
      -- Of a partition of ours; null for others.
      LEFT JOIN LATERAL (SELECT to_date(substring(c.relname FROM '_(\\d{8})$'), 'YYYYMMDD') AS of_day
                          WHERE n.nspname = 'penstock' AND parent.oid IS NOT NULL) AS dated ON true
     WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema)'
     ORDER BY 1, 2, c.relname`,
});

const SERVER = statement({
  rows: {
    version: "text",
    bytes: "int8",
    used: "int4",
    max: "int4",
    pid: "int4?",
    application: "text?",
    state: "text?",
    seconds: "float8?",
  },
  text: sql`
    SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS bytes,
           (SELECT count(*)::int FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend') AS used,
           current_setting('max_connections')::int AS max,
           oldest.pid, oldest.application, oldest.state, oldest.seconds
      FROM (SELECT) AS one LEFT JOIN LATERAL (
             SELECT pid, application_name AS application, state, extract(epoch FROM now() - xact_start)::float8 AS seconds
               FROM pg_catalog.pg_stat_activity
              WHERE xact_start IS NOT NULL AND datname = current_database() AND pid <> pg_backend_pid()
                AND backend_type = 'client backend'
              ORDER BY xact_start LIMIT 1) AS oldest ON true`,
});

/** Reads how large the database is and what may ail it. Nothing of it reads a table of events. */
export async function readDatabase(store: Store): Promise<DatabaseState> {
  const { rows } = await query(store.pool, TABLES);
  const server = (await query(store.pool, SERVER)).rows[0];
  const { pendingEvents, oldestPendingSeconds } = await readBacklog(store);
  const tables = Map.groupBy(rows, ({ schema, name }) => `${schema}.${name}`);
  const days = Map.groupBy(
    rows.filter(({ ahead }) => !ahead),
    ({ day }) => day,
  );
  return {
    version: server?.version ?? "",
    bytes: Number(server?.bytes ?? 0),
    connections: { used: server?.used ?? 0, max: server?.max ?? 0 },
    tables: [...tables.values()].map(toTable).toSorted((a, b) => b.bytes - a.bytes),
    days: [...days]
      .flatMap(([day, of]) => (day === null ? [] : [toDay(day, of)]))
      .toSorted((a, b) => (a.day < b.day ? 1 : -1)),
    oldestTransaction:
      server?.pid == null
        ? null
        : {
            pid: server.pid,
            application: server.application ?? "",
            state: server.state ?? "",
            seconds: Math.max(0, server.seconds ?? 0),
          },
    backlog: { pendingEvents, oldestPendingSeconds },
  };
}

type Row = RowOf<typeof TABLES>;

function toTable(rows: readonly Row[]): TableSize {
  const vacuumed = rows.flatMap(({ vacuumed_at }) => vacuumed_at?.toISOString() ?? []);
  return {
    schema: rows[0]?.schema ?? "",
    name: rows[0]?.name ?? "",
    bytes: sum(rows.map(({ bytes }) => bytes)),
    rows: sum(rows.map((row) => row.rows)),
    deadRows: sum(rows.map(({ dead }) => dead)),
    partitions: rows.filter(({ day }) => day !== null).length,
    vacuumedAt: vacuumed.toSorted().at(-1) ?? null,
  };
}

function toDay(day: string, rows: readonly Row[]): DaySize {
  return {
    day,
    bytes: sum(rows.map(({ bytes }) => bytes)),
    tables: Object.fromEntries(rows.map(({ name, bytes }) => [name, Number(bytes)])),
  };
}

const sum = (values: readonly string[]): number => values.reduce((total, value) => total + Number(value), 0);
