import { QUEUE_SCHEMA } from "@penstock/queue";
import { createQueuePool } from "@penstock/store";
import { startPostgres } from "@penstock/testing";
import { migrateTestQueue } from "./open-test-queue.ts";
import { queueContract } from "./queue-contract.ts";

queueContract("Postgres", async () => {
  const server = await startPostgres();
  const ask = async <Row extends object>(sql: string): Promise<Row[]> => {
    const pool = createQueuePool({
      connectionString: server.url,
      schema: QUEUE_SCHEMA,
      maxConnections: 1,
      applicationName: "queue-test",
    });
    try {
      return (await pool.query<Row>(sql)).rows;
    } finally {
      await pool.end();
    }
  };
  return {
    server,
    prepare: () => migrateTestQueue(server.url),
    loseEverything: async () => void (await ask("TRUNCATE job CASCADE")),
    countJobs: async () => Number((await ask<{ count: string }>("SELECT count(*) FROM job"))[0]?.count),
  };
});
