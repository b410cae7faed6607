import type { ObservedStatement } from "@penstock/engine";
import type { Transaction } from "kysely";
import type pg from "pg";
import {
  codeOf,
  DatabaseUnavailableError,
  HandlerAccessError,
  isConnectionError,
  isExhausted,
  isHandlerGivenUp,
  toStoreError,
} from "../connection/errors.ts";
import { guardTransaction } from "./guarded-transaction.ts";

/** Whether a handler's work behind its savepoint was kept, or was rolled back because of an error. */
export type SavepointOutcome = { readonly ok: true } | { readonly ok: false; readonly error: unknown };

/**
 * Runs a handler's work behind a savepoint of an open transaction, as its role.
 *
 * A handler has succeeded when RELEASE has, with the transaction still open, not when its promise has resolved: a handler can
 * swallow the error of a statement (which aborts everything up to the savepoint), leave a deferred constraint broken, or
 * forget to await a query.
 *
 * @throws DatabaseUnavailableError when the connection broke or Postgres could not go on (a full disk), and an error of `fn` with
 *   the code HANDLER_TIMEOUT or HANDLER_ABANDONED: the handler may still be using the connection, so nothing else uses it.
 */
export async function runBehindSavepoint(
  client: pg.PoolClient,
  { schema, role }: { readonly schema: string; readonly role: string | undefined },
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the store does not
  fn: (tx: Transaction<any>) => Promise<void>,
  onStatement?: (statement: ObservedStatement) => void,
): Promise<SavepointOutcome> {
  const guard = guardTransaction(client, onStatement);
  let error: unknown;
  let exhausted: unknown;
  // Not awaited here: the savepoint goes out ahead of the handler's first statement, in the same round trip.
  const begun = client
    .query(
      `SAVEPOINT handler; ${role === undefined ? "" : `SET LOCAL ROLE "${role}"; `}SET LOCAL search_path TO "${schema}", public`,
    )
    .then(
      () => undefined,
      (refusal: unknown) => ({ refusal }),
    );
  try {
    await guard.run(fn);
    await guard.drain();
    const failed = await begun;
    if (failed !== undefined) throw failed.refusal;
    error = guard.firstError;
    if (error === undefined) {
      await release(client, role !== undefined).catch((refusal: unknown) => {
        exhausted = isExhausted(refusal) ? refusal : undefined;
        throw refusal;
      });
      return { ok: true };
    }
  } catch (thrown) {
    if (isHandlerGivenUp(thrown)) throw thrown;
    await guard.drain();
    // 25P02 only says that an earlier statement has failed: the earlier error is the reason.
    error = codeOf(thrown) === "25P02" ? (guard.firstError ?? thrown) : thrown;
    // Without the savepoint, no statement of the handler has run.
    const failed = await begun;
    if (failed !== undefined) {
      if (isExhausted(failed.refusal)) exhausted = failed.refusal;
      error = isConnectionError(failed.refusal) ? failed.refusal : toAccessError(failed.refusal, role);
    }
  }
  try {
    await client.query("ROLLBACK TO SAVEPOINT handler; RELEASE SAVEPOINT handler");
  } catch (cause) {
    const reason = [error, cause].find(isConnectionError);
    if (reason !== undefined) throw toStoreError(reason);
    throw new DatabaseUnavailableError("the savepoint was lost", { cause: error });
  }
  // By the error of Postgres: the handler may have swallowed it, or thrown an error of another database.
  if (isExhausted(guard.firstError)) exhausted = guard.firstError;
  if (exhausted !== undefined) throw toStoreError(exhausted);
  return { ok: false, error };
}

/**
 * Checks deferred constraints here, where the handler that broke them is known. The inner savepoint takes the SET back, so the
 * constraints stay deferred. A string of statements stops at the first failure.
 */
async function release(client: pg.PoolClient, asRole: boolean): Promise<void> {
  await client.query(
    "SAVEPOINT constraints; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO SAVEPOINT constraints; RELEASE SAVEPOINT handler" +
      (asRole ? "; RESET ROLE" : ""),
  );
  if (client.getTransactionStatus() !== "T") throw new Error("the transaction was ended by the handler");
}

function toAccessError(cause: unknown, role: string | undefined): HandlerAccessError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const what = role === undefined ? "a handler's transaction" : `a handler's transaction as role ${role}`;
  return new HandlerAccessError(`${what} cannot be begun: ${reason}. Run \`penstock migrate\`, then restart workers.`, {
    cause,
  });
}
