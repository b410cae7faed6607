import type { EngineStore } from "@penstock/engine";
import type pg from "pg";
import { claimDelivery } from "./claim-delivery.ts";
import { claimDeliveries, isInterruptedDue, reclaimDeliveries, releaseDeliveries } from "./claim-deliveries.ts";
import { query, type Store } from "./create-store.ts";
import { createEngineTransaction } from "./engine-transaction.ts";
import { CommitFailedError, isConnectionError, isExhausted, isHandlerGivenUp, toStoreError } from "./errors.ts";
import { finishDelivery } from "./finish-delivery.ts";
import { recordEffect } from "./record-effect.ts";
import { registerHandlers } from "./registered-handlers.ts";

/** The store as the engine wants it. `workerName` stands in the rows of attempts. */
export function createEngineStore(store: Store, workerName: string): EngineStore {
  return {
    transaction: (fn) => transaction(store, (client) => fn(createEngineTransaction(client, workerName))),
    waitUntilAvailable: (signal) => store.waitUntilAvailable(signal),
    async pendingOf(batchId) {
      const { rows } = await query<{ seq: string; day: string }>(
        store.pool,
        "SELECT seq::text, day::text FROM penstock.pending WHERE batch_id = $1 ORDER BY seq",
        [batchId],
      );
      return rows.map(({ seq, day }) => ({ seq: Number(seq), day }));
    },
    async beginTry(seq) {
      const { rows } = await query<{ before: number }>(
        store.pool,
        `UPDATE penstock.pending p SET tries = p.tries + 1
           FROM (SELECT seq, tries AS before FROM penstock.pending WHERE seq = $1 FOR UPDATE SKIP LOCKED) AS held
          WHERE p.seq = held.seq
         RETURNING before`,
        [seq],
      );
      return rows[0]?.before ?? null;
    },
    async endTry(seq) {
      await query(store.pool, "UPDATE penstock.pending SET tries = tries - 1 WHERE seq = $1 AND tries > 0", [seq]);
    },
    claimDeliveries: (options) => claimDeliveries(store, options),
    claimDelivery: (delivery, options) => claimDelivery(store, delivery, options),
    recordEffect: (delivery, key, json) => recordEffect(store, delivery, key, json),
    finishDelivery: (delivery, result) =>
      transaction(store, (client) => finishDelivery(client, workerName, delivery, result)),
    isInterruptedDue: (subscribers) => isInterruptedDue(store, subscribers),
    releaseDeliveries: (deliveries, options) => releaseDeliveries(store, deliveries, options),
    reclaimDeliveries: (options) => reclaimDeliveries(store, workerName, options),
    registerHandlers: (handlers) => registerHandlers(store, handlers),
  };
}

async function transaction<T>(store: Store, fn: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await store.pool.connect().catch((error: unknown) => {
    throw toStoreError(error);
  });
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken ??= error;
  };
  client.on("error", onError);
  let discard = false;
  let backendPid: number | undefined;
  try {
    const [, { rows }] = await Promise.all([
      query(client, "BEGIN"),
      query<{ pid: number }>(client, "SELECT pg_backend_pid() AS pid"),
    ]);
    backendPid = rows[0]?.pid;
    const result = await fn(client);
    await commit(client);
    return result;
  } catch (error) {
    discard = isHandlerGivenUp(error) || isConnectionError(error) || broken !== undefined;
    if (!discard) {
      await client.query("ROLLBACK").catch(() => {
        discard = true;
      });
    }
    // The server said why it hung up before the statement that noticed failed.
    if (isConnectionError(error) && broken !== undefined && !isConnectionError(broken)) throw broken;
    throw error;
  } finally {
    client.off("error", onError);
    if (discard) await hangUp(store, client, backendPid);
    client.release(discard);
  }
}

/** Ends a connection whatever it is doing, at both ends: the server would go on with its statement and hold its locks. */
async function hangUp(store: Store, client: pg.PoolClient, backendPid: number | undefined): Promise<void> {
  // Not end(): that waits for the statement of a handler that does not stop.
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  stream.destroy();
  if (backendPid === undefined) return;
  const terminated = query(store.pool, "SELECT pg_terminate_backend($1, 2000)", [backendPid]);
  await terminated.catch(() => undefined); // it notices by itself, client_connection_check_interval
}

async function commit(client: Parameters<typeof query>[0]): Promise<void> {
  let command: string;
  try {
    ({ command } = await client.query("COMMIT"));
  } catch (error) {
    if (isConnectionError(error) || isExhausted(error)) throw toStoreError(error);
    const message = error instanceof Error ? error.message : String(error);
    throw new CommitFailedError(`COMMIT was refused: ${message}`, { cause: error });
  }
  // COMMIT of an aborted transaction succeeds, and says ROLLBACK.
  if (command !== "COMMIT") throw new CommitFailedError("COMMIT rolled back: the transaction was aborted before");
}
