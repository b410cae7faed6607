import { type AnswerCounts, recordAnswers, type Store } from "@penstock/store/intake";
import { instruments, type Logger, onceInAWhile } from "@penstock/telemetry";

const EVERY_MS = 5_000;
/** What could not be told is kept: an hour and more of a Postgres that is away. */
const MOST_KEPT = 1_000;
/** The reasons for which a request is answered with 503. */
const UNAVAILABLE = new Set(["unavailable", "stopping", "body-memory"]);

/**
 * Tells the database every few seconds how long acknowledgements took, and how many requests got a 503: the Overview shows
 * them. The numbers are those of the metrics, so that a request pays nothing more.
 */
export function reportAnswers({
  store,
  log,
  signal,
}: {
  readonly store: Store;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): void {
  const upToMs = instruments.acknowledgement().boundaries.map((seconds) => seconds * 1_000);
  const untold: (AnswerCounts & { readonly at: number })[] = [];
  const sayAway = onceInAWhile();
  let told = readSoFar();

  function take(): void {
    const now = readSoFar();
    const counts = now.counts.map((count, nth) => count - (told.counts[nth] ?? 0));
    const unavailable = now.unavailable - told.unavailable;
    told = now;
    if (unavailable === 0 && counts.every((count) => count === 0)) return;
    untold.push({ at: performance.now(), upToMs, counts, unavailable });
    if (untold.length > MOST_KEPT) untold.shift();
  }

  async function tell(): Promise<void> {
    take();
    try {
      for (let [next] = untold; next !== undefined; [next] = untold) {
        await recordAnswers(store, next, performance.now() - next.at);
        untold.shift();
      }
    } catch (error) {
      sayAway(() => log.warn({ err: error }, "how long acknowledgements took could not be told, it is tried again"));
    }
  }

  const loop = (): void => {
    if (signal.aborted) return;
    void tell().finally(() => void setTimeout(loop, EVERY_MS).unref());
  };
  setTimeout(loop, EVERY_MS).unref();
}

/** What was recorded since the process started. */
function readSoFar(): { readonly counts: readonly number[]; readonly unavailable: number } {
  const cells = instruments.acknowledgement().read();
  const counts = Array.from({ length: instruments.acknowledgement().boundaries.length + 1 }, (_, nth) =>
    cells.reduce((sum, cell) => sum + (cell.counts[nth] ?? 0), 0),
  );
  const unavailable = instruments
    .refused()
    .read()
    .reduce((sum, { labels, value }) => sum + (UNAVAILABLE.has(String(labels["reason"])) ? value : 0), 0);
  return { counts, unavailable };
}
