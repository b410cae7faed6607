import { nextTick } from "node:process";
import type { ObservedStatement } from "@penstock/engine";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type Transaction,
} from "kysely";
import type pg from "pg";
import { ForbiddenStatementError } from "../connection/errors.ts";
import { refusalOf } from "./forbidden-statement.ts";

/** A handler's view of a transaction that it shares. */
export interface GuardedTransaction {
  /**
   * Runs `fn` with the transaction, and waits for statements that `fn` did not await, and for statements that these start in turn;
   * afterwards Kysely refuses every statement. Rejects with the error of `fn`.
   */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the handler knows its tables, the store does not
  run(fn: (tx: Transaction<any>) => Promise<void>): Promise<void>;
  /** Waits for statements that `fn` started before it threw. */
  drain(): Promise<void>;
  /** The first statement that failed or was refused, also when the handler swallowed its error. */
  readonly firstError: unknown;
}

/** How many statements may follow one another after the handler has returned. */
const MAX_ROUNDS = 1_000;

/** Wraps a connection with an open transaction so that a handler can run statements on it and nothing else. */
export function guardTransaction(
  client: pg.PoolClient,
  onStatement?: (statement: ObservedStatement) => void,
): GuardedTransaction {
  const underWay = new Set<Promise<unknown>>();
  let firstError: unknown;

  const connection: DatabaseConnection = {
    async executeQuery<Row>(compiled: CompiledQuery): Promise<QueryResult<Row>> {
      const execution = execute<Row>(compiled);
      underWay.add(execution);
      try {
        return await execution;
      } catch (error) {
        firstError ??= error;
        throw error;
      } finally {
        underWay.delete(execution);
      }
    },
    // eslint-disable-next-line require-yield -- refused as a whole
    async *streamQuery() {
      throw new ForbiddenStatementError("ctx.tx cannot stream: it shares its connection. Read in pages instead.");
    },
  };

  async function execute<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const refusal = refusalOf(sql);
    if (refusal !== null) throw new ForbiddenStatementError(refusal);
    // The extended protocol takes one statement only: nothing can hide behind a semicolon.
    const config = { text: sql, values: [...parameters], queryMode: "extended" };
    const result = await client.query<Row & pg.QueryResultRow>(config).catch((error: unknown) => {
      onStatement?.({ sql, rows: null, error: error instanceof Error ? error.message : String(error) });
      throw error;
    });
    onStatement?.({ sql, rows: result.rowCount ?? 0, error: null });
    const changed = ["INSERT", "UPDATE", "DELETE", "MERGE"].includes(result.command);
    return { rows: result.rows, ...(changed ? { numAffectedRows: BigInt(result.rowCount ?? 0) } : {}) };
  }

  const nothing = (): Promise<void> => Promise.resolve();
  const driver: Driver = {
    init: nothing,
    acquireConnection: () => Promise.resolve(connection),
    // The transaction is open already and is not the handler's to end.
    beginTransaction: nothing,
    commitTransaction: nothing,
    rollbackTransaction: nothing,
    releaseConnection: nothing,
    destroy: nothing,
  };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see GuardedTransaction
  const db = new Kysely<any>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => driver,
      createIntrospector: (kysely) => new PostgresIntrospector(kysely),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
  return {
    run: (fn) =>
      db.transaction().execute(async (tx) => {
        await fn(tx);
        for (let round = 0; round === 0 || underWay.size > 0; round++) {
          // The handler has returned, so no time-out bounds this loop.
          if (round > MAX_ROUNDS)
            throw new Error(`${MAX_ROUNDS} statements ran one after another and nobody awaited them`);
          await Promise.allSettled(underWay);
          await new Promise<void>((resolve) => nextTick(resolve)); // code that awaited these has continued by then
        }
      }),
    async drain() {
      await Promise.allSettled(underWay);
    },
    get firstError() {
      return firstError;
    },
  };
}
