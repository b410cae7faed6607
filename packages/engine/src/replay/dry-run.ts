import type { TransactionalHandler } from "@penstock/handler-sdk";
import { toContext } from "@penstock/telemetry";
import { decodeEvent } from "../event/decode-event.ts";
import { hideOf, wants } from "../delivery/delivery-result.ts";
import type { EngineContext } from "../contract/engine-context.ts";
import type { EngineTransaction, ObservedStatement, StoredEvent } from "../contract/engine-store.ts";
import { codeOf, describeError, isConflict, isUnavailable } from "../outage/errors.ts";
import { runHandlerOnce } from "../handler/run-handler.ts";
import { createSilentLog } from "./silent-log.ts";

/** How many rows of a table a transaction has touched. */
export interface TableChanges {
  /** The table's name, with its schema. */
  readonly table: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** A transaction that is rolled back in any case. */
export interface Rehearsal extends Pick<EngineTransaction, "readEvent"> {
  savepoint(
    schema: string,
    fn: Parameters<EngineTransaction["savepoint"]>[1],
    onStatement: (statement: ObservedStatement) => void,
  ): ReturnType<EngineTransaction["savepoint"]>;
  /** How many rows the transaction has changed so far, by table. */
  changes(): Promise<TableChanges[]>;
}

/** What a dry run needs of a database. `packages/store` provides it. */
export interface DryRunStore {
  /** Runs `fn` in a transaction that is rolled back, with short time-outs for locks and statements. */
  rehearse<T>(fn: (tx: Rehearsal) => Promise<T>): Promise<T>;
}

/** What a handler would do with an event. */
export interface DryRunReport {
  readonly outcome: "succeeded" | "failed" | "not-understood" | "not-subscribed";
  readonly error: { readonly errorClass: string | null; readonly errorMessage: string | null } | null;
  readonly tookMs: number;
  /** Empty after a failure: nothing would be kept. */
  readonly tables: readonly TableChanges[];
  /** In order; failed statements included. */
  readonly statements: readonly ObservedStatement[];
}

export interface DryRunOptions extends Pick<EngineContext, "findSource" | "signal"> {
  readonly store: DryRunStore;
  readonly handler: TransactionalHandler;
}

/**
 * Runs a handler for a stored event in a transaction that is rolled back, and reports what the handler did. The handler sees a
 * replay named `dry-run`. A rollback does not take back numbers drawn from sequences, nor what a handler does outside of
 * `ctx.tx`, which a transactional handler must not.
 *
 * @throws when Postgres is away or the signal is aborted.
 */
export async function dryRun(
  { store, handler, findSource, signal }: DryRunOptions,
  pointer: Pick<StoredEvent, "day" | "seq">,
): Promise<DryRunReport> {
  const startedAt = performance.now();
  const statements: ObservedStatement[] = [];
  let hide = (text: string): string => text;
  const done = (
    outcome: DryRunReport["outcome"],
    { error, tables = [] }: { error?: DryRunReport["error"]; tables?: readonly TableChanges[] } = {},
  ): DryRunReport => {
    const tookMs = Math.round(performance.now() - startedAt);
    return { outcome, error: error ?? null, tookMs, tables, statements };
  };
  try {
    return await store.rehearse(async (tx) => {
      const stored = await tx.readEvent(pointer);
      if (stored === null) return done("failed", { error: { errorClass: null, errorMessage: "the event is gone" } });
      hide = hideOf({ findSource }, stored);
      const decoding = decodeEvent(stored, findSource);
      if (!decoding.ok) {
        const { reason, detail } = decoding.quarantine;
        return done("not-understood", { error: { errorClass: reason, errorMessage: detail } });
      }
      if (!wants(handler, decoding.decoded.event)) return done("not-subscribed");
      const outcome = await runHandlerOnce({
        tx: {
          savepoint: (schema, fn) =>
            tx.savepoint(
              schema,
              fn,
              (statement) => void statements.push({ ...statement, error: statement.error && hide(statement.error) }),
            ),
        },
        handler,
        event: decoding.decoded,
        traces: { contextOf: ({ traceparent }) => toContext(traceparent) },
        attempt: 1,
        replay: { id: "dry-run" },
        signal,
        log: createSilentLog(),
      });
      if (outcome.ok === true) return done("succeeded", { tables: await tx.changes() });
      return done("failed", { error: outcome.ok === false ? describeError(outcome.error, hide) : null });
    });
  } catch (error) {
    signal.throwIfAborted();
    // 57014: a statement took too long, which is no outage.
    const cause = isUnavailable(error) || isConflict(error) ? (error as Error).cause : undefined;
    if (isUnavailable(error) && codeOf(cause) !== "57014") throw error;
    return done("failed", { error: describeError(cause ?? error, hide) });
  }
}
