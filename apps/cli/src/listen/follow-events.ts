import { setTimeout as sleep } from "node:timers/promises";
import {
  assertMigrated,
  findTailStart,
  readLastSeq,
  type Store,
  tailEvents,
  type TailFilter,
  type TailPage,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { findStoreConfig, openStore } from "../database.ts";
import { describeError } from "../describe-error.ts";

/** How long to wait before looking again: where nothing has come, and where something is about to. */
const IDLE_MS = 200;
const SOON_MS = 20;
const RECONNECT_MS = 500;
/** A Postgres that is silent for as long is away. */
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * The events of the project's database as they come, page by page, for as long as nobody says stop. Begins with those after
 * a seq, with those received since a time, or with the next one. While Postgres is away it says so once, waits and goes on.
 *
 * @throws CliError, ConfigError, MigrationsPendingError or DatabaseUnavailableError when there is none to begin with.
 */
export async function* followEvents(
  ctx: CliContext,
  since: number | Date | null,
  filter: TailFilter,
): AsyncGenerator<TailPage> {
  let store: Store | null = await open(ctx);
  try {
    let cursor = await findStart(store, since);
    yield { events: [], cursor, next: "none" };
    while (!ctx.stop.aborted) {
      try {
        const tail = tailEvents(store, { ...filter, since: since instanceof Date ? since : undefined, after: cursor });
        while (!ctx.stop.aborted) {
          const page = await tail.read();
          if (page.cursor > cursor) yield page;
          ({ cursor } = page);
          if (page.next !== "more") await pause(page.next === "soon" ? SOON_MS : IDLE_MS, ctx.stop);
        }
      } catch (error) {
        if (!isAway(error)) throw error;
        ctx.output.say(`${describeError(error)} Waiting for it; nothing is lost meanwhile.`);
        await store?.close();
        store = null;
        const reopened = await reopen(ctx);
        if (reopened === null) return;
        store = reopened;
        ctx.output.say("Postgres is back: going on where it was.");
      }
    }
  } finally {
    await store?.close();
  }
}

async function open(ctx: CliContext): Promise<Store> {
  const { databaseUrl } = await findStoreConfig(ctx);
  const store = openStore(databaseUrl, [], { answerTimeoutMs: ANSWER_TIMEOUT_MS });
  try {
    await assertMigrated(store);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Asks anew where the database is each time: the embedded one may come back on another port. */
async function reopen(ctx: CliContext): Promise<Store | null> {
  while (!ctx.stop.aborted) {
    await pause(RECONNECT_MS, ctx.stop);
    try {
      return await open(ctx);
    } catch (error) {
      if (!isAway(error)) throw error;
    }
  }
  return null;
}

async function findStart(store: Store, since: number | Date | null): Promise<number> {
  if (since instanceof Date) return findTailStart(store, since);
  const last = await readLastSeq(store);
  if (since === null) return last;
  if (since > last) {
    throw new UsageError(`--since: ${since} is after the last event of this database, ${last}: is it another one's?`);
  }
  return since;
}

/** A CliError: the embedded Postgres does not run. */
function isAway(error: unknown): boolean {
  return error instanceof CliError || (error as { code?: unknown }).code === "DATABASE_UNAVAILABLE";
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
