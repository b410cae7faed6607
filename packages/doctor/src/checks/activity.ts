import { readDatabase } from "@penstock/store";
import { type Check, fail, type Finding, ok, warn } from "../check.ts";
import { duration, some } from "../words.ts";

const OLD_SECONDS = 300;
const VERY_OLD_SECONDS = 3_600;
const MANY_DEAD_ROWS = 100_000;
const SHARE_OF_CONNECTIONS = 0.8;

/** What goes on in the database: transactions, dead rows, connections. */
export const activity: Check = {
  part: "Postgres",
  asksPostgres: true,
  async run({ store, oldTransactionSeconds = OLD_SECONDS }) {
    const { oldestTransaction: oldest, tables, connections } = await readDatabase(store);
    const findings: Finding[] = [];
    if (oldest === null || oldest.seconds < oldTransactionSeconds) {
      findings.push(ok("postgres.transactions", "no old transaction"));
    } else {
      const found = `a transaction of ${oldest.application || "somebody"} (process ${oldest.pid}, ${oldest.state}) is under way for ${duration(oldest.seconds)}: vacuum takes nothing away that it may see, and tables grow`;
      const todo = `Find out what it is; to end it: SELECT pg_terminate_backend(${oldest.pid})`;
      const judge = oldest.seconds < VERY_OLD_SECONDS ? warn : fail;
      findings.push(judge("postgres.transactions", found, todo));
    }
    const bloated = tables.filter(({ rows, deadRows }) => deadRows > MANY_DEAD_ROWS && deadRows > rows / 2);
    findings.push(
      bloated.length === 0
        ? ok("postgres.bloat", "no table has many dead rows")
        : warn(
            "postgres.bloat",
            `dead rows take much of ${some(bloated.map(({ schema, name }) => `${schema}.${name}`))}: vacuum does not keep up, and statements get slower`,
            "Look for old transactions, then VACUUM these tables; give autovacuum more (docs/scale.md).",
          ),
    );
    const { used, max } = connections;
    findings.push(
      used < max * SHARE_OF_CONNECTIONS
        ? ok("postgres.connections", `${used} of ${max} connections are used`)
        : warn(
            "postgres.connections",
            `${used} of ${max} connections are used: soon nobody gets one`,
            "Raise max_connections, or run fewer processes (docs/deployment.md, Connections).",
          ),
    );
    return findings;
  },
};
