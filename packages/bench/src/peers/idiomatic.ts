// What one writes by the manuals of Express and BullMQ: a job per request, a transaction per job.
// `idiomatic.ts serve` takes webhooks in, `work` processes, `enqueue` fills the queue without a server.
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";
import { backlog } from "./backlog.ts";
import { applyOne, type Event } from "./effect.ts";
import { serveWebhooks } from "./express.ts";

const { REDIS_URL = "", DATABASE_URL = "" } = process.env;
const QUEUE = "events";

function serve(): void {
  const queue = new Queue(QUEUE, { connection: new Redis(REDIS_URL) });
  serveWebhooks((event) => queue.add(event.type, event, { jobId: event.id, removeOnComplete: true }));
}

function work(): void {
  const concurrency = 50;
  const pool = new pg.Pool({ connectionString: DATABASE_URL, max: concurrency });
  const worker = new Worker<Event>(
    QUEUE,
    async (job) => {
      const client = await pool.connect();
      try {
        await applyOne(client, job.data);
      } finally {
        client.release();
      }
    },
    { connection: new Redis(REDIS_URL, { maxRetriesPerRequest: null }), concurrency },
  );
  worker.on("ready", () => console.log("ready"));
  worker.on("failed", (_, error) => console.error(error));
  process.once("SIGTERM", () => void worker.close().then(() => process.exit()));
}

async function enqueue(): Promise<void> {
  const queue = new Queue(QUEUE, { connection: new Redis(REDIS_URL) });
  for (const lot of backlog()) {
    await queue.addBulk(
      lot.map((event) => ({
        name: "message.received",
        data: event,
        opts: { jobId: event.id, removeOnComplete: true },
      })),
    );
  }
  console.log("ready");
  process.exit();
}

const commands = { serve, work, enqueue };
await commands[process.argv[2] as keyof typeof commands]();
