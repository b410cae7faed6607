import { setTimeout as sleep } from "node:timers/promises";
import type { Scene } from "./scene.ts";
import type { ChaosSender } from "./sender.ts";

/** Past this, a run goes on with the next fault all the same. */
const PATIENCE_MS = 120_000;
/** What is older than this waits. A busy machine takes a second or two for what takes milliseconds. */
const NORMAL_AGE = "5 seconds";

// What nobody takes although it could be taken. A delivery under the lease of a vanished worker is none of that: its lease has
// to run out first. What a replay hands out is work that an operator asked for.
const BACKLOG = `
  SELECT what || ' ' || count(*) AS waits FROM (
    SELECT 'batches' AS what FROM penstock.pending WHERE accepted_at < clock_timestamp() - interval '${NORMAL_AGE}'
    UNION ALL
    SELECT 'deliveries of ' || subscriber || ', ' || state FROM penstock.deliveries
     WHERE state IN ('pending', 'retrying') AND replay_id IS NULL AND next_attempt_at < clock_timestamp() - interval '${NORMAL_AGE}'
    UNION ALL
    SELECT 'lost deliveries of ' || subscriber FROM penstock.deliveries
     WHERE state = 'running' AND lease_until < clock_timestamp() - interval '15 seconds'
       -- Nothing is taken back until Postgres has been up for 30 s: a worker may be there that could not tell.
       AND pg_postmaster_start_time() < clock_timestamp() - interval '45 seconds') AS late
   GROUP BY what ORDER BY what`;

/** What is not normal: a process that is not there, an ingest that does not acknowledge, what waits longer than it should. */
async function findOdd(scene: Scene, sender: ChaosSender, since: number): Promise<string[]> {
  const { postgres, ingests, workers } = scene;
  const away = [...ingests, ...workers].flatMap(({ name, isReady }) => (isReady() ? [] : [`${name} is away`]));
  const mute = ingests.flatMap(({ name }, at) =>
    sender.acknowledgedAt(at) >= since ? [] : [`${name} answers nobody`],
  );
  const rows = await postgres.query<{ waits: string }>(BACKLOG).catch(() => [{ waits: "Postgres does not answer" }]);
  return [...away, ...mute, ...rows.map(({ waits }) => waits)];
}

export interface Recovered {
  /** From the end of the fault until all was normal; Infinity when patience has run out. */
  readonly recoveryMs: number;
  /** What was the last that was not normal. */
  readonly last: string;
}

/** Waits until all is normal. @throws when the signal is aborted */
export async function waitForRecovery(scene: Scene, sender: ChaosSender, signal: AbortSignal): Promise<Recovered> {
  const since = performance.now();
  let last = "";
  while (performance.now() - since < PATIENCE_MS) {
    const askedAt = performance.now();
    const odd = await findOdd(scene, sender, since);
    if (odd.length === 0) return { recoveryMs: askedAt - since, last };
    last = odd.join(", ");
    await sleep(200, undefined, { signal });
  }
  return { recoveryMs: Infinity, last };
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
