import type { Engine } from "@penstock/engine";
import type { Handler } from "@penstock/handler-sdk";
import type { Store } from "@penstock/store";

const PENDING = "SELECT batch::text FROM penstock.pending ORDER BY pending.batch LIMIT 1";
/** A replay looks again later while what it handed out waits; here there is nothing to wait for. */
const HURRY_REPLAYS = "UPDATE penstock.replays SET due_at = now() WHERE status = 'running'";

/** A claim takes what has been due for longest. */
const IN_ORDER_OF_ARRIVAL = `
  UPDATE penstock.deliveries SET next_attempt_at = to_timestamp(seq / 1e6)
   WHERE subscriber = $1 AND state IN ('pending', 'retrying') AND next_attempt_at <= now()`;

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
  if (kind === "effect") return runEffects(store, engine, name);
  const ran = (await engine.runDueDeliveries(1, name)) > 0;
  return (lanes !== null && (await engine.runLaneHead(name))) || ran;
}

async function runEffects(store: Store, engine: Engine, handler: string): Promise<boolean> {
  await store.pool.query(IN_ORDER_OF_ARRIVAL, [handler]);
  for (let worked = false; ; worked = true) {
    const { runs } = await engine.startEffects(handler, 1);
    await Promise.all(runs);
    if (runs.length === 0) return (await engine.runInterruptedEffect(handler)) || worked;
  }
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
