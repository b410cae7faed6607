import { setTimeout as sleep } from "node:timers/promises";
import { type EventSummary, listEvents, type Store } from "@penstock/store";

/** What became of events that were acknowledged. */
export interface SentEvents {
  /** Different event ids. */
  readonly acknowledged: number;
  readonly processed: number;
  /** Those of the processed whose handlers are not all done: a delivery waits, runs or is tried again. */
  readonly unfinished: number;
  /** Those of the others that have a dead letter. */
  readonly dead: number;
  readonly pending: number;
  readonly quarantined: number;
  /** Ids that brought nothing new: they had been received before. */
  readonly known: number;
  /** How long until none was pending any more, from the first send; null when some still were. */
  readonly settledMs: number | null;
  /** Where only one id was sent: the newest event with it. */
  readonly event?: EventSummary;
}

const PAGE = 2_000;
const WAIT_MS = 10_000;

/**
 * Remembers what a database holds before events are sent. The function that it returns waits until those that were
 * acknowledged are processed, while there is progress or 10 s without, and counts them.
 */
export async function watchEvents(
  store: Store,
  signal: AbortSignal,
): Promise<(ids: readonly string[]) => Promise<SentEvents>> {
  const newestBefore = (await listEvents(store, { limit: 1 }))[0]?.seq ?? 0;
  const startedAt = performance.now();

  return async (ids) => {
    const acknowledged = new Set(ids);
    let deadline = performance.now() + WAIT_MS;
    let left = Infinity;
    const [only] = ids;
    for (;;) {
      const found =
        ids.length === 1 && only !== undefined
          ? await countOne(store, only, newestBefore)
          : await countAll(store, acknowledged, newestBefore);
      const now = performance.now();
      const settled = found.pending === 0;
      if (found.pending < left) {
        left = found.pending;
        deadline = now + WAIT_MS;
      }
      if (settled || now > deadline || signal.aborted) {
        return { acknowledged: acknowledged.size, ...found, settledMs: settled ? now - startedAt : null };
      }
      await sleep(ids.length === 1 ? 15 : 250);
    }
  };
}

type Counts = Omit<SentEvents, "acknowledged" | "settledMs">;

async function countOne(store: Store, id: string, newestBefore: number): Promise<Counts> {
  const [event] = await listEvents(store, { event: id, limit: 1 });
  const counts = { processed: 0, unfinished: 0, dead: 0, pending: 0, quarantined: 0, known: 0 };
  if (event === undefined) return counts;
  if (event.status === "pending" || event.seq > newestBefore) count(event, counts);
  else counts.known = 1;
  return { ...counts, event };
}

/** Goes through the new events page by page: one look-up per id would go through the archive as often. */
async function countAll(store: Store, ids: ReadonlySet<string>, newestBefore: number): Promise<Counts> {
  const counts = { processed: 0, unfinished: 0, dead: 0, pending: 0, quarantined: 0 };
  const seen = new Set<string>();
  for (let before: EventSummary | undefined; ;) {
    const page: readonly EventSummary[] = await listEvents(store, {
      limit: PAGE,
      ...(before === undefined ? {} : { before }),
    });
    const fresh = page.filter(({ seq }) => seq > newestBefore);
    for (const event of fresh) {
      if (event.id === null || !ids.has(event.id)) continue;
      count(event, counts);
      seen.add(event.id);
    }
    before = fresh.at(-1);
    if (before === undefined || fresh.length < PAGE) return { ...counts, known: ids.size - seen.size };
  }
}

function count(
  { status, deliveries }: EventSummary,
  counts: Record<EventSummary["status"] | "unfinished" | "dead", number>,
): void {
  counts[status] += 1;
  const states = new Set(deliveries.map(({ state }) => state));
  if (["pending", "running", "retrying"].some((state) => states.has(state))) counts.unfinished += 1;
  else if (states.has("dead")) counts.dead += 1;
}
