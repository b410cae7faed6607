import type { NewEvent } from "@penstock/intake";
import type { NamedSource, SentEvent } from "@penstock/sources";
import { commitFetched, readPolicy, type Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { addBatchJob } from "../queue-job.ts";
import { toFetchedEvents } from "./to-events.ts";

/** Stored together: what was fetched is not lost by what cannot be. */
const BATCH_EVENTS = 100;
const BATCH_BYTES = 4_194_304;

export interface FetchOutcome {
  readonly fetched: number;
  readonly failed: readonly { readonly id: string; readonly why: string }[];
}

/** Fetches events from their provider and stores them for workers. One that cannot be fetched holds up no other. */
export async function fetchMissed(
  ctx: CliContext,
  store: Store,
  named: NamedSource,
  missed: readonly SentEvent[],
): Promise<FetchOutcome> {
  const windowDays = (await readPolicy(store))?.policy.dedupeWindowDays ?? Infinity;
  const failed: { id: string; why: string }[] = [];
  let waiting: NewEvent[] = [];
  let requests = 0;
  let fetched = 0;

  async function commit(): Promise<void> {
    if (waiting.length === 0) return;
    await addBatchJob(ctx, await commitFetched(store, named.name, waiting, ctx.actor));
    fetched += requests;
    [waiting, requests] = [[], 0];
  }

  for (const event of missed) {
    try {
      waiting.push(...toFetchedEvents(named, await event.request(), { actor: ctx.actor, windowDays }));
      requests++;
    } catch (error) {
      failed.push({ id: event.id, why: error instanceof Error ? error.message : String(error) });
      // What is refused for the one is refused for all: a key, a limit.
      if (failed.length >= 3 && fetched + requests === 0) break;
    }
    const bytes = waiting.reduce((sum, { body }) => sum + body.length, 0);
    if (waiting.length >= BATCH_EVENTS || bytes >= BATCH_BYTES) await commit();
  }
  await commit();
  return { fetched, failed };
}
