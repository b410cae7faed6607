// What intake is like while a day of many events is deleted.
import { createStore, runRetention } from "@penstock/store";
import { moveToDay } from "@penstock/testing/move-to-day";
import { fillWithHistory } from "./history.ts";
import { type Measures, runIntake, type RunOptions } from "./run.ts";
import type { Stage } from "./stage.ts";
import type { Variant } from "./variants.ts";

// The ledger stays: its keys go by the row, some hundred days later.
const POLICY = { days: 30, bytes: null, dedupeWindowDays: 36_500, sources: {} };

/** So long past that it is due. */
const DAY = "2020-01-02";

/**
 * Intake in an open loop while a day goes that has so many events. Of these, one in `waiting` waits for a handler and is kept, so that
 * the day is written anew; 0: none does.
 */
export async function runBesideRetention(
  stage: Stage,
  variant: Variant,
  options: RunOptions,
  { events, waiting }: { readonly events: number; readonly waiting: number },
): Promise<Measures> {
  let tookS = Number.NaN;
  const measured = { ...variant, stored: countOthers };
  const measures = await runIntake(stage, measured, {
    ...options,
    async prepare() {
      await moveToDay(stage, DAY, []); // makes its partitions
      await fillWithHistory(stage.databaseUrl, events, DAY);
      if (waiting > 0) {
        await stage.query(
          `UPDATE penstock.deliveries SET state = 'pending' WHERE day = '${DAY}' AND seq % ${waiting} = 0`,
        );
      }
    },
    async during() {
      tookS = await letGo(stage.databaseUrl);
    },
  });
  return { ...measures, tookS };
}

/** The events that are stored, but for those of the day that goes. */
async function countOthers(stage: Stage): Promise<number> {
  const [row] = await stage.query<{ n: string }>(
    `SELECT (SELECT count(*) FROM penstock.events WHERE day <> '${DAY}')
            + (SELECT coalesce(sum(events), 0) FROM penstock.pending) AS n`,
  );
  return Number(row?.n);
}

async function letGo(connectionString: string): Promise<number> {
  const store = createStore({ connectionString, applicationName: "penstock-bench", maxConnections: 2 });
  try {
    const startedAt = performance.now();
    const run = await runRetention(store, POLICY, { by: { worker: "bench" } });
    if (run === null || run.days.length !== 1) throw new Error(`no day went: ${JSON.stringify(run)}`);
    return (performance.now() - startedAt) / 1_000;
  } finally {
    await store.close();
  }
}
