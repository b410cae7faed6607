// What intake is like while somebody looks at the console.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "@penstock/embedded-postgres";
import { createApiToken, createStore } from "@penstock/store";
import { type Measures, runEndToEnd, type RunOptions } from "./run.ts";
import type { Stage } from "./stage.ts";
import type { Variant } from "./variants.ts";

/** What the page of events reads again while it is live, and the overview: at most so often, in milliseconds. */
const POLLS = { "events?limit=50": 1_000, "events/histogram": 10_000, overview: 5_000 } as const;

/** As runEndToEnd, while a console runs whose pages of events, live, and overview are open in a browser that is elsewhere. */
export async function runWatched(stage: Stage, variant: Variant, options: RunOptions): Promise<Measures> {
  const { get, listen } = await startConsole(stage);
  return runEndToEnd(stage, variant, {
    ...options,
    async during() {
      const closing = new AbortController();
      let live = 0;
      const stream = listen(closing.signal, () => live++);
      const polls = Object.entries(POLLS).map(async ([path, everyMs]) => {
        while (!closing.signal.aborted) {
          await get(path);
          await sleep(everyMs, undefined, { signal: closing.signal }).catch(() => undefined);
        }
      });
      await sleep(options.seconds * 1_000);
      closing.abort();
      await Promise.all([stream, ...polls]);
      if (live === 0) throw new Error("the console told of no event");
    },
  });
}

interface Page {
  get(path: string): Promise<void>;
  /** Follows the events until the signal is aborted, and calls `onEvents` for those that come together. */
  listen(signal: AbortSignal, onEvents: () => void): Promise<void>;
}

async function startConsole(stage: Stage): Promise<Page> {
  const port = await findFreePort();
  await stage.start({
    role: "console",
    file: import.meta.resolve("@penstock/console/main"),
    env: {
      DATABASE_URL: stage.databaseUrl,
      QUEUE_URL: stage.redis.url,
      CONSOLE_HOST: "127.0.0.1",
      CONSOLE_PORT: String(port),
      INTERNAL_HOST: "127.0.0.1",
      CONSOLE_INTERNAL_PORT: "0",
      PENSTOCK_MASTER_KEY: randomBytes(32).toString("base64"),
      MALLOC_ARENA_MAX: "2",
    },
    ready: "console ready",
  });
  const headers = { authorization: `Bearer ${await makeToken(stage.databaseUrl)}` };
  const ask = async (path: string, signal: AbortSignal | null = null): Promise<Response> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { headers, signal });
    if (!response.ok) throw new Error(`the console answered ${response.status} to ${path}: ${await response.text()}`);
    return response;
  };
  return {
    async get(path) {
      await (await ask(path)).arrayBuffer();
    },
    async listen(signal, onEvents) {
      try {
        const { body } = await ask("events/stream", signal);
        if (body === null) throw new Error("the console sent no stream");
        for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
          if (chunk.includes("event: events")) onEvents();
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
  };
}

async function makeToken(connectionString: string): Promise<string> {
  const store = createStore({ connectionString, applicationName: "penstock-bench", maxConnections: 1 });
  try {
    const wanted = { name: "bench", role: "admin", seesPayloads: true, expiresInDays: null } as const;
    return (await createApiToken(store, wanted, "bench")).value;
  } finally {
    await store.close();
  }
}
