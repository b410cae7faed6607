import pg from "pg";
import { command, connect, query, type Queryable, type Store } from "./create-store.ts";
import {
  codeOf,
  CommitFailedError,
  DatabaseUnavailableError,
  isConnectionError,
  isExhausted,
  isHandlerGivenUp,
  toStoreError,
} from "./errors.ts";
import { sql, statement } from "./sql.ts";

/** A Postgres that takes longer to answer hangs, on any machine that is of use. */
const AT_ONCE_MS = 2_000;

/** What work inside of a transaction may do beside running statements. */
export interface TransactionControl {
  /**
   * Resolves once the transaction has begun. `fn` is called before that, so that its first statement goes out in the same round
   * trip: one that only reads or locks. What writes has to wait for this.
   */
  readonly begun: Promise<void>;
  /** Has work go out ahead of COMMIT, in one round trip. It must run all its statements at once; where one fails, all is rolled back. */
  atCommit(work: () => Promise<unknown>): void;
}

const PID = statement({
  name: "penstock-pid",
  rows: { pid: "int4" },
  text: sql`SELECT pg_backend_pid() AS pid`,
});

const TERMINATE = statement({
  rows: { pg_terminate_backend: "bool" },
  text: sql`SELECT pg_terminate_backend(${{ pid: "int4" }}, 2000)`,
});

/**
 * Runs `fn` in a transaction on one connection and commits; rolls back when it throws, and destroys the connection where
 * it broke or a handler that was given up may still be using it. A handler whose time went by while Postgres hung was
 * interrupted by an outage.
 *
 * @throws DatabaseUnavailableError, CommitFailedError, or what `fn` threw.
 */
export async function transaction<T>(store: Store, fn: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  return eagerTransaction(store, async (client, { begun }) => {
    await begun;
    return fn(client);
  });
}

/** The same, with more control; see {@link TransactionControl}. */
export async function eagerTransaction<T>(
  store: Store,
  fn: (client: pg.PoolClient, control: TransactionControl) => Promise<T>,
): Promise<T> {
  const client = await connect(store);
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken ??= error;
  };
  client.on("error", onError);
  let discard = false;
  let hangs = false;
  let backendPid: number | undefined;
  try {
    const begun = Promise.all([command(client, "BEGIN"), query(client, PID)]).then(([, { rows }]) => {
      backendPid = rows[0]?.pid;
    });
    begun.catch(() => undefined); // heard of below, should `fn` fail before it asks
    const last: (() => Promise<unknown>)[] = [];
    const result = await fn(client, { begun, atCommit: (work) => void last.push(work) });
    await begun;
    const lastWork = last.map((work) => work());
    // What fails before it reaches the server aborts nothing there: COMMIT must not go out then.
    await Promise.race([Promise.all(lastWork), new Promise((resolve) => setImmediate(resolve))]);
    // Of what failed the first is told: what follows only fails because of it.
    const ends = await Promise.allSettled([...lastWork, commit(client)]);
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return result;
  } catch (error) {
    discard = isHandlerGivenUp(error) || isConnectionError(error) || broken !== undefined;
    if (!discard) {
      await client.query("ROLLBACK").catch(() => {
        discard = true;
      });
    }
    hangs = codeOf(error) === "HANDLER_TIMEOUT" && !(await answersAtOnce(store));
    if (hangs) {
      throw new DatabaseUnavailableError("Postgres hangs, and a handler's time went by", { cause: error });
    }
    // The server said why it hung up before the statement that noticed failed.
    if (isConnectionError(error) && broken !== undefined && !isConnectionError(broken)) throw broken;
    throw error;
  } finally {
    client.off("error", onError);
    if (discard) {
      const hungUp = hangUp(store, client, backendPid);
      // A Postgres that hangs does it once it goes on.
      if (!hangs) await hungUp;
    }
    client.release(discard);
  }
}

/**
 * Whether Postgres answers a new connection at once. Not one of the pool: those may all be held by handlers that hang, which
 * says nothing of Postgres. To have too many connections is an answer, and no time of a handler goes by for it.
 */
async function answersAtOnce({ pool }: Store): Promise<boolean> {
  const client = new pg.Client({ ...pool.options, connectionTimeoutMillis: AT_ONCE_MS });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    return codeOf(error) === "53300";
  } finally {
    void client.end().catch(() => undefined);
  }
}

/** Ends a connection whatever it is doing, at both ends: the server would go on with its statement and hold its locks. */
async function hangUp(store: Store, client: pg.PoolClient, backendPid: number | undefined): Promise<void> {
  // Not end(): that waits for the statement of a handler that does not stop.
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  stream.destroy();
  if (backendPid === undefined) return;
  const terminated = query(store.pool, TERMINATE, { pid: backendPid });
  await terminated.catch(() => undefined); // it notices by itself, client_connection_check_interval
}

async function commit(client: Queryable): Promise<void> {
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
