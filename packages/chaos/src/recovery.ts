import { setTimeout as sleep } from "node:timers/promises";
import type { Scene } from "./scene.ts";
import type { ChaosSender } from "./sender.ts";

/** How soon after a fault's end what waits has to be back to normal. */
export const RECOVERY_BOUND_MS = 30_000;
/** Past this, a run goes on with the next fault all the same. */
const PATIENCE_MS = 120_000;
/** What is older than this waits. A busy machine takes a second or two for what takes milliseconds. */
const NORMAL_AGE = "5 seconds";

// What nobody takes although it could be taken. A delivery under the lease of a vanished worker is none of that: its lease has
// to run out first.
const BACKLOG = `
  SELECT (SELECT count(*) FROM penstock.pending WHERE accepted_at < clock_timestamp() - interval '${NORMAL_AGE}')
       + (SELECT count(*) FROM penstock.deliveries
           WHERE state IN ('pending', 'retrying') AND next_attempt_at < clock_timestamp() - interval '${NORMAL_AGE}')
       + (SELECT count(*) FROM penstock.deliveries
           WHERE state = 'running' AND lease_until < clock_timestamp() - interval '15 seconds') AS waits`;

/** Whether each process is there, each ingest acknowledges again, and nothing waits longer than it should. */
async function isNormal({ postgres, ingests, workers }: Scene, sender: ChaosSender, since: number): Promise<boolean> {
  if (![...ingests, ...workers].every((process) => process.isReady())) return false;
  if (!ingests.every((_, number) => sender.acknowledgedAt(number) >= since)) return false;
  const rows = await postgres.query<{ waits: string }>(BACKLOG).catch(() => []);
  return rows[0]?.waits === "0";
}

/** Waits until all is normal, and resolves to how long that took, in milliseconds; Infinity when patience has run out. */
export async function waitForRecovery(scene: Scene, sender: ChaosSender): Promise<number> {
  const since = performance.now();
  while (performance.now() - since < PATIENCE_MS) {
    const askedAt = performance.now();
    if (await isNormal(scene, sender, since)) return askedAt - since;
    await sleep(200);
  }
  return Infinity;
}

const LEFT = `
  SELECT (SELECT count(*) FROM penstock.pending)
       + (SELECT count(*) FROM penstock.deliveries WHERE state IN ('pending', 'retrying', 'running'))
       + (SELECT count(*) FROM penstock.replays WHERE status = 'running') AS waits`;

/** Waits until nothing is left to do; gives up after so long, and the books tell what is left. */
export async function waitUntilDone(scene: Scene): Promise<void> {
  const until = performance.now() + PATIENCE_MS * 1.5;
  while (performance.now() < until) {
    const rows = await scene.postgres.query<{ waits: string }>(LEFT).catch(() => []);
    if (rows[0]?.waits === "0" && (await scene.refusedFiles()) === 0) return;
    await sleep(500);
  }
}
