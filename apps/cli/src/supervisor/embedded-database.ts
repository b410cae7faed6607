import { setTimeout as sleep } from "node:timers/promises";
import { signalServer, startEmbeddedPostgres } from "@penstock/embedded-postgres";
import { describeError } from "../describe-error.ts";
import { isRunning } from "../is-running.ts";

/** The embedded Postgres of a start, kept alive. */
export interface EmbeddedDatabase {
  readonly url: string;
  /** Whether it was running already, left behind by a start that was killed. */
  readonly adopted: boolean;
  /** Shuts it down in order. */
  stop(): Promise<void>;
  /** Has it end at once; its next start recovers. */
  kill(): void;
}

const CHECK_MS = 1_000;
const RETRY_MS = 5_000;

/** Starts the embedded Postgres, and again when it ends; on the same port, so that pools find it. */
export async function superviseDatabase(
  options: { readonly dir: string; readonly log: string },
  say: (text: string) => void,
): Promise<EmbeddedDatabase> {
  let postgres = await startEmbeddedPostgres(options);
  const { url, port, adopted } = postgres;
  const stopping = new AbortController();

  async function keepAlive(): Promise<void> {
    for (let waitMs = CHECK_MS; ;) {
      await sleep(waitMs, undefined, { signal: stopping.signal });
      waitMs = CHECK_MS;
      if (isRunning(postgres.pid)) continue;
      say(`Postgres ended, starting it again; its log: ${options.log}`);
      try {
        postgres = await startEmbeddedPostgres({ ...options, port });
      } catch (error) {
        say(describeError(error));
        waitMs = RETRY_MS;
      }
    }
  }

  const kept = keepAlive().catch(() => undefined); // rejects by `stopping` only
  return {
    url,
    adopted,
    async stop() {
      stopping.abort();
      await kept; // a start under way would outlive the stop
      await postgres.stop();
    },
    kill: () => void signalServer(postgres.pid, "SIGQUIT"),
  };
}
