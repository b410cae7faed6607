import type { DeliveryResult, EngineStore, FinishedDelivery } from "@penstock/engine";
import type { Store } from "@penstock/store";

/** A delivery in the future is put off by this, in milliseconds, so that no test is fast or slow enough to see it due. */
const PUT_OFF_MS = 100 * 365 * 86_400_000;

/** The time of a test: it stands still until it is moved. What is to be tried again waits for it and not for a clock. */
export interface VirtualTime {
  /** The store, as an engine in this time sees it. */
  readonly engineStore: EngineStore;
  /** How far it was moved, in milliseconds. */
  readonly nowMs: number;
  /** How long until a delivery that waits is due, in milliseconds; null when it waits for no time. */
  dueInMs(delivery: Key): number | null;
  /** Moves to when the next delivery is due, which is due then; false, at `untilMs`, when none is before that. */
  moveOn(untilMs: number): Promise<boolean>;
}

type Key = { readonly day: string; readonly seq: number; readonly subscriber: string };

/** Wires a time in which waits are kept here, and only marked in the database. */
export function createVirtualTime(store: Store, engineStore: EngineStore): VirtualTime {
  const due = new Map<string, { readonly key: Key; readonly atMs: number }>();
  let nowMs = 0;

  function putOff(result: DeliveryResult): DeliveryResult {
    const key = { ...result.event, subscriber: result.subscriber };
    due.delete(toText(key));
    if (result.retryInMs === undefined || result.retryInMs === 0) return result;
    due.set(toText(key), { key, atMs: nowMs + result.retryInMs });
    return { ...result, retryInMs: result.retryInMs + PUT_OFF_MS };
  }

  const putOffOne = ({ delivery, result }: FinishedDelivery) => ({ delivery, result: putOff(result) });

  async function wake({ day, seq, subscriber }: Key): Promise<void> {
    await store.pool.query(
      `UPDATE penstock.deliveries SET next_attempt_at = now()
        WHERE day = $1 AND seq = $2 AND subscriber = $3 AND state IN ('pending', 'retrying')
          AND next_attempt_at > now() + make_interval(secs => $4::float8 / 2000)`,
      [day, seq, subscriber, PUT_OFF_MS],
    );
  }

  return {
    engineStore: {
      ...engineStore,
      transaction: (fn) =>
        engineStore.transaction((tx) =>
          fn({
            ...tx,
            recordAtCommit: (results, quarantine) => tx.recordAtCommit(results.map(putOff), quarantine),
            finishDeliveries: (finished) => tx.finishDeliveries(finished.map(putOffOne)),
          }),
        ),
      // A rate limit goes by the clock of Postgres, which stands for nothing here.
      claimForOutside: (claim) => engineStore.claimForOutside({ ...claim, rateLimit: null }),
      finishDeliveries: (finished) => engineStore.finishDeliveries(finished.map(putOffOne)),
    },
    get nowMs() {
      return nowMs;
    },
    dueInMs: (key) => {
      const found = due.get(toText(key));
      return found === undefined ? null : found.atMs - nowMs;
    },
    async moveOn(untilMs) {
      const first = [...due.values()].toSorted((a, b) => a.atMs - b.atMs)[0];
      if (first === undefined || first.atMs > untilMs) {
        nowMs = untilMs;
        return false;
      }
      nowMs = first.atMs;
      for (const [text, { key, atMs }] of due) {
        if (atMs !== nowMs) continue;
        due.delete(text);
        await wake(key);
      }
      return true;
    },
  };
}

function toText({ day, seq, subscriber }: Key): string {
  return `${day} ${seq} ${subscriber}`;
}
