// graphile-worker with the settings of its manual's page on performance: a local queue of 500, completions in batches, and
// a delay before the next fetch when one brings too little, since else each new job makes the worker ask for jobs.
// A job per event in a transaction of its own, or its batch jobs: a job whose payload is an array of 200 events.
// `graphile-worker.ts serve` takes webhooks in, a job per request; `enqueue` fills the queue; `work` processes.
import { makeWorkerUtils, run } from "graphile-worker";
import { backlog } from "./backlog.ts";
import { APPLY_MANY, applyOne, type Event, valuesOf } from "./effect.ts";
import { serveWebhooks } from "./express.ts";

const { DATABASE_URL = "", MODE = "" } = process.env;
const BATCH = 200;
const CONCURRENCY = 24;

declare global {
  namespace GraphileWorker {
    interface Tasks {
      event: Event;
      events: Event[];
    }
  }
}

async function serve(): Promise<void> {
  const utils = await makeWorkerUtils({ connectionString: DATABASE_URL });
  await utils.migrate();
  serveWebhooks((event) => utils.addJob("event", event));
}

async function enqueue(): Promise<void> {
  const utils = await makeWorkerUtils({ connectionString: DATABASE_URL });
  await utils.migrate();
  for (const lot of backlog()) {
    if (MODE === "single") {
      await utils.addJobs(lot.map((payload) => ({ identifier: "event", payload })));
    } else {
      for (let from = 0; from < lot.length; from += BATCH) await utils.addJob("events", lot.slice(from, from + BATCH));
    }
  }
  console.log("ready");
  await utils.release();
}

async function work(): Promise<void> {
  const runner = await run({
    preset: {
      worker: {
        connectionString: DATABASE_URL,
        concurrentJobs: CONCURRENCY,
        maxPoolSize: CONCURRENCY + 2,
        localQueue: { size: 500, refetchDelay: { durationMs: 100, threshold: CONCURRENCY } },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
    taskList: {
      event: (event, { withPgClient }) => withPgClient((client) => applyOne(client, event)),
      events: async (events, { withPgClient }) => {
        await withPgClient((client) => client.query(APPLY_MANY, valuesOf(events)));
      },
    },
    noHandleSignals: true,
  });
  console.log("ready");
  process.once("SIGTERM", () => void runner.stop().then(() => process.exit()));
}

const commands = { serve, work, enqueue };
await commands[process.argv[2] as keyof typeof commands]();
