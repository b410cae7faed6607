import type { Engine } from "@penstock/engine";
import type { Handler } from "@penstock/handler-sdk";
import { findDueDeliveries, type Store } from "@penstock/store";

const PENDING = "SELECT batch::text FROM penstock.pending ORDER BY pending.batch LIMIT 1";
/** A replay looks again later while what it handed out waits; here there is nothing to wait for. */
const HURRY_REPLAYS = "UPDATE penstock.replays SET due_at = now() WHERE status = 'running'";

/**
 * Does what workers do until nothing is due: batches, deliveries, heads of lanes, effects (one after the other, in order of
 * arrival), replays.
 */
export async function runUntilIdle(store: Store, engine: Engine, handlers: readonly Handler[]): Promise<void> {
  const steps = [
    () => runBatches(store, engine),
    ...handlers.map((handler) => () => runDue(store, engine, handler)),
    () => engine.runInterruptedDelivery(),
  ];
  for (let worked = true; worked;) {
    worked = false;
    for (const step of steps) worked = (await step()) || worked;
    worked ||= await runReplays(store, engine);
  }
}

async function runBatches(store: Store, engine: Engine): Promise<boolean> {
  for (let worked = false; ; worked = true) {
    const { rows } = await store.pool.query<{ batch: string }>(PENDING);
    if (rows[0] === undefined) return worked;
    await engine.processBatch({ batches: [Number(rows[0].batch)], startedBefore: 0 });
  }
}

async function runDue(store: Store, engine: Engine, { kind, name, lanes }: Handler): Promise<boolean> {
  if (kind === "effect") {
    const due = await findDueDeliveries(store, name, 100);
    for (const delivery of due.toSorted((a, b) => a.seq - b.seq)) {
      await engine.runEffect({ ...delivery, subscriber: name });
    }
    return due.length > 0;
  }
  const ran = (await engine.runDueDeliveries(1, name)) > 0;
  return (lanes !== null && (await engine.runLaneHead(name))) || ran;
}

/** Hands out what replays have to hand out; false when that left nothing to be run. */
async function runReplays(store: Store, engine: Engine): Promise<boolean> {
  await store.pool.query(HURRY_REPLAYS);
  let handedOut = false;
  while (await engine.advanceReplay()) handedOut = true;
  if (!handedOut) return false;
  const { rows } = await store.pool.query(
    `SELECT FROM penstock.pending UNION ALL
     SELECT FROM penstock.deliveries WHERE state IN ('pending', 'retrying') AND next_attempt_at <= now() LIMIT 1`,
  );
  return rows.length > 0;
}
