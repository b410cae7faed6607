import { QUEUE_SCHEMA } from "@penstock/queue";
import { createQueuePool } from "@penstock/store";
import { createTestDatabase, eventually, setStrangely, startPostgres } from "@penstock/testing";
import { expect, onTestFinished, test } from "vitest";
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
  const done: number[] = [];
  const consumer = queue.consume(async ({ batches }) => void done.push(...batches), {
    concurrency: 1,
    onError: () => undefined,
  });
  await queue.add([[1, 2]]);
  await eventually(() => expect(done).toEqual([1, 2]));
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

test.each([
  ["were never made", "", /missing in schema bullmq.*penstock migrate/],
  ["belong to another role", "SET ROLE", /role .*may not use .*GRANT/],
  ["cannot be written to", "default_transaction_read_only=on", /takes no writes/],
])("a Postgres on which the queue's tables %s is told by what to do about it", async (_what, how, message) => {
  const { url } = await createTestDatabase();
  const pool = createQueuePool({
    connectionString: url,
    schema: QUEUE_SCHEMA,
    maxConnections: 1,
    applicationName: "test",
  });
  onTestFinished(() => pool.end());
  const asked = new URL(url);
  if (how !== "") await migrateTestQueue(url);
  if (how === "SET ROLE") {
    const role = `queue_${new URL(url).pathname.slice(1)}`;
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'pw'`);
    onTestFinished(async () => {
      await pool.query(`DROP ROLE ${role}`);
    });
    Object.assign(asked, { username: role, password: "pw" });
  } else if (how !== "") {
    await pool.query(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET ${how.replace("=", " = ")}', current_database()); END $$`,
    );
  }
  const queue = openTestQueue(asked.href);
  await expect(queue.ping()).rejects.toMatchObject({
    code: "QUEUE_UNAVAILABLE",
    message: expect.stringMatching(message) as string,
  });
  expect(await queue.warnings()).toEqual([expect.stringMatching(message)]);
  await queue.close();
});
