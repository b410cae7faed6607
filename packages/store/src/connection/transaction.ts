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

/** A Postgres that takes longer to answer hangs, on any machine that is fit for one. */
const AT_ONCE_MS = 2_000;

/** What work inside of a transaction may do beside running statements. */
export interface TransactionControl {
  /**
   * Resolves once the transaction has begun. `fn` is called before that, so that its first statement goes out in the same round
   * trip. That statement may only read or lock; statements that write have to wait for `begun`.
   */
  readonly begun: Promise<void>;
  /**
   * Sends the statements of `work` together with COMMIT, in one round trip. `work` must run all its statements at once. Where a
   * statement fails, the transaction is rolled back.
   */
  atCommit(work: () => Promise<unknown>): void;
  /** Calls `work` once the transaction has committed. */
  afterCommit(work: () => void): void;
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

/** Runs `fn` in a transaction as {@link transaction} does, and saves round trips; see {@link TransactionControl}. */
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
    begun.catch(() => undefined); // awaited below, unless `fn` fails first
    const last: (() => Promise<unknown>)[] = [];
    const after: (() => void)[] = [];
    const result = await fn(client, {
      begun,
      atCommit: (work) => void last.push(work),
      afterCommit: (work) => void after.push(work),
    });
    await begun;
    await commitWith(client, last);
    for (const work of after) work();
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
      // A Postgres that hangs would not answer now.
      if (!hangs) await hungUp;
    }
    client.release(discard);
  }
}

/**
 * Whether Postgres answers a new connection at once. The pool would not do: handlers that hang may hold all its connections,
 * which says nothing about Postgres. "Too many connections" counts as an answer.
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
  await terminated.catch(() => undefined); // the backend notices by itself: client_connection_check_interval
}

/**
 * Commits, with `last` in the same round trip. All of `last` has ended when this ends, also when it fails: nothing of it may
 * run into the ROLLBACK that follows.
 *
 * @throws the first failure: later ones are its consequences.
 */
async function commitWith(client: Queryable, last: readonly (() => Promise<unknown>)[]): Promise<void> {
  let failsEarly = false;
  // By an async function, so that one that throws at once leaves none of the others unheard.
  const works = last.map(async (work) => work());
  for (const work of works) work.catch(() => (failsEarly = true));
  // A failure before the statement reaches the server aborts nothing there: COMMIT must not go out then.
  if (works.length > 0) await new Promise((resolve) => setImmediate(resolve));
  const ends = await Promise.allSettled(failsEarly ? works : [...works, commit(client)]);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
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
  // COMMIT of an aborted transaction succeeds and answers ROLLBACK.
  if (command !== "COMMIT") throw new CommitFailedError("COMMIT rolled back: the transaction was aborted before");
}
