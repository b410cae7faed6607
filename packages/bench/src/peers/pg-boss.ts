// pg-boss as its manual has it for much work: full batches are followed by the next at once. Each event in a transaction
// of its own, or all of a batch in one statement and in the same transaction as the completion of its jobs.
// `pg-boss.ts serve` takes webhooks in, a job per request; `enqueue` fills the queue; `work` processes.
import pg from "pg";
import { PgBoss } from "pg-boss";
import { backlog } from "./backlog.ts";
import { APPLY_MANY, applyOne, type Event, valuesOf } from "./effect.ts";
import { serveWebhooks } from "./express.ts";

const { DATABASE_URL = "", MODE = "" } = process.env;
const QUEUE = "events";

const boss = new PgBoss({ connectionString: DATABASE_URL, max: 10 });
boss.on("error", console.error);
await boss.start();
await boss.createQueue(QUEUE);

function serve(): void {
  serveWebhooks((event) => boss.send(QUEUE, event));
}

async function enqueue(): Promise<void> {
  for (const lot of backlog())
    await boss.insert(
      QUEUE,
      lot.map((data) => ({ data })),
    );
  console.log("ready");
  await boss.stop();
  process.exit();
}

async function work(): Promise<void> {
  const polling = { burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
  if (MODE === "single") {
    const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 50 });
    await boss.work<Event>(QUEUE, { ...polling, batchSize: 50, localConcurrency: 2 }, async (jobs) => {
      await Promise.all(
        jobs.map(async ({ data }) => {
          const client = await pool.connect();
          try {
            await applyOne(client, data);
          } finally {
            client.release();
          }
        }),
      );
    });
  } else {
    const options = { ...polling, batchSize: 200, localConcurrency: 2, transactional: true } as const;
    await boss.work(QUEUE, options, async (jobs, tx) => {
      await tx.executeSql(APPLY_MANY, valuesOf(jobs.map(({ data }) => data as Event)));
    });
  }
  console.log("ready");
  process.once("SIGTERM", () => void boss.stop().then(() => process.exit()));
}

const commands = { serve, work, enqueue };
await commands[process.argv[2] as keyof typeof commands]();
