import { wallClockMs } from "@penstock/schemas";
import { query, type Store } from "../connection/create-store.ts";
import { column, sql, statement } from "../connection/sql.ts";
import { PARTITION_DAYS } from "../schema/partitions.ts";

/** How Postgres is set up, as far as promises of Penstock rest on it. */
export interface ServerState {
  readonly version: string;
  readonly versionNumber: number;
  readonly encoding: string;
  readonly fsync: boolean;
  readonly fullPageWrites: boolean;
  /** Of the connections of Penstock: they set it themselves. */
  readonly synchronousCommit: string;
  /** What everybody else in this database gets. */
  readonly synchronousCommitOfOthers: string;
  readonly isReplica: boolean;
  readonly isReadOnly: boolean;
  readonly synchronousStandbys: string;
  /** Replicas that are connected. What a role may not see of them is null. */
  readonly replicas: readonly { readonly name: string; readonly state: string | null; readonly sync: string | null }[];
  /** Slots that nobody reads: Postgres keeps its log for them, until the disk is full. */
  readonly idleSlots: readonly { readonly name: string; readonly keptBytes: number }[];
  readonly autovacuum: boolean;
  /** Transactions until Postgres refuses writes to protect itself from wraparound. */
  readonly transactionsLeft: number;
  /** Prepared transactions that nobody has ended, in seconds since the oldest began; null: none. */
  readonly oldestPreparedSeconds: number | null;
  /** Days from today on, today included, that have a partition. */
  readonly daysWithPartition: number;
  /** How far the clock of Postgres is ahead of this host's, in milliseconds, and how exact that is. */
  readonly clockAheadMs: number;
  readonly clockWithinMs: number;
}

// 2^31 transactions lie between the oldest and the newest; Postgres stops three million before.
const READ = statement({
  rows: {
    version: "text",
    versionNumber: "int4",
    encoding: "text",
    fsync: "bool",
    fullPageWrites: "bool",
    synchronousCommit: "text",
    synchronousCommitOfOthers: "text",
    isReplica: "bool",
    isReadOnly: "bool",
    synchronousStandbys: "text",
    replicas: column<ServerState["replicas"]>("jsonb"),
    idleSlots: column<ServerState["idleSlots"]>("jsonb"),
    autovacuum: "bool",
    transactionsLeft: "float8",
    oldestPreparedSeconds: "float8?",
    daysWithPartition: "int4",
  },
  text: sql`
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS "versionNumber",
           current_setting('server_encoding') AS encoding, current_setting('fsync')::bool AS fsync,
           current_setting('full_page_writes')::bool AS "fullPageWrites",
           current_setting('synchronous_commit') AS "synchronousCommit",
           (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'synchronous_commit') AS "synchronousCommitOfOthers",
           pg_is_in_recovery() AS "isReplica", current_setting('transaction_read_only')::bool AS "isReadOnly",
           current_setting('synchronous_standby_names') AS "synchronousStandbys",
           (SELECT coalesce(jsonb_agg(jsonb_build_object('name', application_name, 'state', state, 'sync', sync_state)), '[]')
              FROM pg_catalog.pg_stat_replication) AS replicas,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('name', slot_name, 'keptBytes', kept)), '[]')
              FROM (SELECT slot_name, CASE WHEN pg_is_in_recovery() THEN 0
                           ELSE greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) END AS kept
                      FROM pg_catalog.pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL) AS idle
           ) AS "idleSlots",
           current_setting('autovacuum')::bool AS autovacuum,
           (SELECT 2147483648::float8 - 3000000 - age(datfrozenxid)
              FROM pg_catalog.pg_database WHERE datname = current_database()) AS "transactionsLeft",
           (SELECT extract(epoch FROM max(now() - prepared))::float8 FROM pg_catalog.pg_prepared_xacts) AS "oldestPreparedSeconds",
           (SELECT count(*)::int FROM (${PARTITION_DAYS}) AS days
             WHERE day >= (now() AT TIME ZONE 'UTC')::date) AS "daysWithPartition"`,
});

const CLOCK = statement({
  rows: { ms: "float8" },
  text: sql`SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms`,
});

/** Reads how Postgres is set up. @throws DatabaseUnavailableError */
export async function readServer(store: Store): Promise<ServerState> {
  const row = (await query(store.pool, READ)).rows[0];
  if (row === undefined) throw new Error("Postgres told nothing of itself");
  const before = performance.now();
  const startedAt = wallClockMs();
  const clock = (await query(store.pool, CLOCK)).rows[0]?.ms ?? startedAt;
  const tookMs = performance.now() - before;
  return { ...row, clockAheadMs: clock - (startedAt + tookMs / 2), clockWithinMs: tookMs / 2 };
}
