// What one writes by the manuals of Express and BullMQ: a job per request, a transaction per job.
// `idiomatic.ts serve` takes webhooks in, `work` processes, `enqueue` fills the queue without a server.
import { createHmac, timingSafeEqual } from "node:crypto";
import { Queue, Worker } from "bullmq";
import express from "express";
import { Redis } from "ioredis";
import pg from "pg";
import { backlog } from "./backlog.ts";
import { applyOne, type Event } from "./effect.ts";

const { PORT = "", SECRET = "", REDIS_URL = "", DATABASE_URL = "" } = process.env;
const QUEUE = "events";

function serve(): void {
  const queue = new Queue(QUEUE, { connection: new Redis(REDIS_URL) });
  const app = express();
  app.post("/webhooks/buzzbip", express.raw({ type: "application/json" }), async (request, response) => {
    const body = request.body as Buffer;
    const expected = createHmac("sha256", SECRET).update(body).digest();
    const given = Buffer.from(request.get("X-BuzzBip-Signature") ?? "", "hex");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      response.status(401).end();
      return;
    }
    const event = JSON.parse(body.toString()) as Event & { type: string };
    await queue.add(event.type, event, { jobId: event.id, removeOnComplete: true });
    response.status(200).json({ status: "accepted" });
  });
  app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
  process.once("SIGTERM", () => process.exit());
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
