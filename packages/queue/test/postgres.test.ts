import { QUEUE_SCHEMA } from "@penstock/queue";
import { createQueuePool } from "@penstock/store";
import { createTestDatabase, eventually, setStrangely, startPostgres } from "@penstock/testing";
import { expect, test } from "vitest";
import { migrateTestQueue, openTestQueue } from "./open-test-queue.ts";
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

test("a database with settings of its own carries jobs, whose tables are in the queue's schema", async () => {
  const { url } = await createTestDatabase();
  await setStrangely(url, "database");
  await migrateTestQueue(url);
  const queue = openTestQueue(url);
  const done: string[] = [];
  const consumer = queue.consume(async ({ batchId }) => void done.push(batchId), {
    concurrency: 1,
    onError: () => undefined,
  });
  const batchId = crypto.randomUUID();
  await queue.add([batchId]);
  await eventually(() => expect(done).toEqual([batchId]));
  await consumer.close(200);
  await queue.close();
  const store = createQueuePool({
    connectionString: url,
    schema: "x",
    maxConnections: 1,
    applicationName: "queue-test",
  });
  const { rows } = await store.query(
    "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
  );
  expect(rows).toEqual([{ schemaname: QUEUE_SCHEMA }]);
  await store.end();
});
