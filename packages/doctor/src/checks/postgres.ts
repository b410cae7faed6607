import { MINIMUM_POSTGRES, readServer, type ServerState } from "@penstock/store";
import { type Check, fail, type Finding, ok, warn } from "../check.ts";
import { bytes, duration, some } from "../words.ts";

const FEW_TRANSACTIONS = 500_000_000;
const SLOT_BYTES = 1024 ** 3;

export const postgres: Check = {
  part: "Postgres",
  asksPostgres: true,
  async run({ store }) {
    const server = await readServer(store);
    return [
      version(server),
      durability(server),
      commit(server),
      writable(server),
      encoding(server),
      ...replication(server),
      vacuum(server),
      ...leftPrepared(server),
    ];
  },
};

function version({ version: is, versionNumber }: ServerState): Finding {
  return versionNumber >= MINIMUM_POSTGRES * 10_000
    ? ok("postgres.version", `PostgreSQL ${is}`)
    : fail(
        "postgres.version",
        `PostgreSQL ${is} is older than Penstock needs`,
        `Upgrade to ${MINIMUM_POSTGRES} or later.`,
      );
}

function durability({ fsync, fullPageWrites }: ServerState): Finding {
  const off = [...(fsync ? [] : ["fsync"]), ...(fullPageWrites ? [] : ["full_page_writes"])];
  return off.length === 0
    ? ok("postgres.fsync", "fsync and full_page_writes are on: what is committed survives a crash")
    : fail(
        "postgres.fsync",
        `${off.join(" and ")} off: a power cut can lose acknowledged events, and damage the database`,
        `Set ${off.join(" and ")} to on in postgresql.conf, and reload.`,
      );
}

function commit({ synchronousCommit, synchronousCommitOfOthers }: ServerState): Finding {
  if (synchronousCommit !== "on") {
    return fail(
      "postgres.synchronous_commit",
      `synchronous_commit is ${synchronousCommit} although each connection sets it on: an acknowledged event can be lost`,
      "Take a pooler in transaction mode out of DATABASE_URL (docs/deployment.md, PgBouncer).",
    );
  }
  return synchronousCommitOfOthers === "off"
    ? warn(
        "postgres.synchronous_commit",
        "synchronous_commit is off for this database: Penstock's own connections set it on, so events are safe, and what others write here is not",
        "Set it on, unless you want that: ALTER SYSTEM SET synchronous_commit = on; and look at ALTER DATABASE and ALTER ROLE.",
      )
    : ok("postgres.synchronous_commit", "synchronous_commit is on: 200 means that the event is on disk");
}

function writable({ isReplica, isReadOnly }: ServerState): Finding {
  if (isReplica) {
    return fail(
      "postgres.writable",
      "this server is a replica and takes no writes: events get 503",
      "Put the address of the primary into DATABASE_URL, or promote this one.",
    );
  }
  return isReadOnly
    ? fail(
        "postgres.writable",
        "default_transaction_read_only is on: events get 503. Providers of databases set it when a disk is full",
        "Free or enlarge the disk, then set it off: ALTER DATABASE … RESET default_transaction_read_only",
      )
    : ok("postgres.writable", "it takes writes");
}

function encoding({ encoding: is }: ServerState): Finding {
  return is === "UTF8"
    ? ok("postgres.encoding", "the database is in UTF8")
    : fail(
        "postgres.encoding",
        `the database is in ${is}, which cannot hold every event`,
        "Move to a database made with ENCODING 'UTF8'.",
      );
}

function replication({ synchronousStandbys, replicas, idleSlots }: ServerState): Finding[] {
  const findings: Finding[] = [];
  const synchronous = replicas.filter(({ sync }) => sync === "sync" || sync === "quorum");
  // What a role may not see is null: nothing can be said then.
  const isHidden = replicas.some(({ sync }) => sync === null);
  if (synchronousStandbys !== "" && synchronous.length === 0 && !isHidden) {
    findings.push(
      fail(
        "postgres.replication",
        `synchronous_standby_names is set (${synchronousStandbys}) and no such standby is connected: every commit waits, and events get 503`,
        "Start the standby, or unset synchronous_standby_names, and reload.",
      ),
    );
  } else if (replicas.length === 0) {
    findings.push(
      ok("postgres.replication", "no replica: backups and the disk are what is left when this server is lost"),
    );
  } else if (synchronous.length > 0) {
    findings.push(
      ok(
        "postgres.replication",
        `${some(synchronous.map(({ name }) => name))} is synchronous: a failover to it loses nothing`,
      ),
    );
  } else {
    findings.push(
      warn(
        "postgres.replication",
        `the replicas (${some(replicas.map(({ name }) => name))}) are asynchronous: a failover can lose the last acknowledged events`,
        "If that is not acceptable, set synchronous_standby_names.",
      ),
    );
  }
  const large = idleSlots.filter(({ keptBytes }) => keptBytes > SLOT_BYTES);
  if (large.length > 0) {
    findings.push(
      warn(
        "postgres.slots",
        `nobody reads the replication slot ${some(large.map(({ name, keptBytes }) => `${name} (${bytes(keptBytes)})`))}: Postgres keeps its log for it until the disk is full`,
        "Start its reader again, or: SELECT pg_drop_replication_slot('…')",
      ),
    );
  }
  return findings;
}

function vacuum({ autovacuum, transactionsLeft }: ServerState): Finding {
  if (transactionsLeft < FEW_TRANSACTIONS) {
    return fail(
      "postgres.vacuum",
      `${Math.round(transactionsLeft / 1e6)} million transactions are left until Postgres stops to take writes: vacuum does not keep up`,
      "End old transactions, and run VACUUM FREEZE.",
    );
  }
  return autovacuum
    ? ok("postgres.vacuum", "autovacuum is on")
    : fail(
        "postgres.vacuum",
        "autovacuum is off: tables grow without end, and get slow",
        "Set autovacuum to on in postgresql.conf, and reload.",
      );
}

function leftPrepared({ oldestPreparedSeconds: age }: ServerState): Finding[] {
  if (age === null || age < 300) return [];
  return [
    warn(
      "postgres.prepared",
      `a prepared transaction was left ${duration(age)} ago: it holds its locks, and vacuum takes nothing away that it may see`,
      "Look at pg_prepared_xacts, and COMMIT or ROLLBACK PREPARED.",
    ),
  ];
}
