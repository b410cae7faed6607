import { setTimeout as delay } from "node:timers/promises";
import type { TestProcess } from "@penstock/testing";
import { expect, test } from "vitest";
import { startSteadyScene, type SteadyScene } from "./steady-load.ts";

const EVENTS_PER_SECOND = 200;
/** Longer than what a frozen worker can hold rows for, and than its job is its own. */
const FREEZE_MS = 40_000;

/** Freezes a worker at a moment at which it has a transaction open. */
async function freezeWithRows({ workplace }: SteadyScene, victim: TestProcess): Promise<void> {
  const open = async (): Promise<string[]> => {
    const { rows } = await workplace.store.pool.query<{ one: string }>(
      `SELECT pid || ' ' || xact_start AS one FROM pg_stat_activity
        WHERE application_name = 'penstock-worker' AND state = 'idle in transaction' AND backend_xid IS NOT NULL`,
    );
    return rows.map(({ one }) => one);
  };
  for (;;) {
    victim.kill("SIGSTOP");
    const before = await open();
    await delay(500);
    const after = await open();
    if (before.some((one) => after.includes(one))) return;
    victim.kill("SIGCONT");
    await delay(50 * Math.random());
  }
}

// In a file of its own: it takes as long as all other faults together, and runs beside them.
test(`after a worker is frozen that holds rows, ${EVENTS_PER_SECOND} events/s are processed as they come within 30 s`, async () => {
  const scene = await startSteadyScene(EVENTS_PER_SECOND);
  const [victim] = scene.workers;
  if (victim === undefined) throw new Error("there is no worker");
  await freezeWithRows(scene, victim);
  await delay(FREEZE_MS);
  victim.kill("SIGCONT");
  expect(await scene.load.secondsToRecover()).toBeLessThan(30);
  await scene.load.stop();
  await scene.workplace.close();
}, 400_000);
