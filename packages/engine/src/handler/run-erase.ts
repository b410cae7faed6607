import type { ErasedSubject, Handler, HandlerLog } from "@penstock/handler-sdk";
import type { Transaction } from "kysely";
import type { EngineStore } from "../contract/engine-store.ts";
import { isTransient } from "../outage/errors.ts";
import { withDeadline } from "./with-deadline.ts";

export interface Erasing {
  readonly store: Pick<EngineStore, "transaction">;
  readonly handler: Handler;
  readonly subject: ErasedSubject;
  /** The same for every try. */
  readonly idempotencyKey: string;
  /** Aborted when the worker is out of patience at shutdown. */
  readonly signal: AbortSignal;
  readonly log: HandlerLog;
}

/**
 * Has a handler erase what it keeps of a person, in a transaction of its own; false when it has no `erase`.
 *
 * @throws what the handler threw, HandlerTimeoutError, HandlerAbandonedError, or an error with code `DATABASE_UNAVAILABLE`.
 */
export async function runErase(erasing: Erasing): Promise<boolean> {
  const { store, handler, subject, idempotencyKey, signal, log } = erasing;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the engine does not
  async function inTransaction<Result>(fn: (tx: Transaction<any>) => Promise<Result>): Promise<Result> {
    return store.transaction(async (tx) => {
      let result: { readonly value: Result } | undefined;
      const outcome = await tx.savepoint(handler.schema, async (db) => {
        result = { value: await fn(db) };
      });
      if (!outcome.ok) throw outcome.error;
      if (result === undefined) throw new Error("the transaction of an erase had no result");
      return result.value;
    });
  }
  if (handler.erase === undefined) return false;
  if (handler.kind === "transactional") {
    await inTransaction((tx) =>
      withDeadline(handler, signal, isTransient, async (aborted) =>
        handler.erase?.(subject, { tx, log, signal: aborted }),
      ),
    );
    return true;
  }
  await withDeadline(handler, signal, isTransient, async (aborted) =>
    handler.erase?.(subject, {
      log,
      signal: aborted,
      idempotencyKey,
      transaction(fn) {
        if (Object.keys(handler.migrations).length > 0) return inTransaction(fn);
        return Promise.reject(new TypeError("ctx.transaction: the handler has no schema, give it `migrations`"));
      },
    }),
  );
  return true;
}
