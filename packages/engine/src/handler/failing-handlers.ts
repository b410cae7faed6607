import type { EngineLog } from "../contract/engine-context.ts";

/** After so many failures in a row, a handler counts as failing at everything. */
export const FAILING_AFTER = 20;

/**
 * Handlers that fail at every event, as this process has seen it. A batch leaves them out, since a savepoint and a failure per event
 * cost the other handlers more than their own work: the events become deliveries, of which a few probe the handler until
 * one succeeds.
 */
export interface FailingHandlers {
  /** Counts the outcome of an event. */
  note(handler: string, succeeded: boolean): void;
  has(handler: string): boolean;
}

export function createFailingHandlers(log: EngineLog): FailingHandlers {
  const inARow = new Map<string, number>();
  const has = (handler: string): boolean => (inARow.get(handler) ?? 0) >= FAILING_AFTER;
  return {
    has,
    note(handler, succeeded) {
      const failed = has(handler);
      inARow.set(handler, succeeded ? 0 : (inARow.get(handler) ?? 0) + 1);
      if (failed === has(handler)) return;
      if (failed) log.info({ handler }, "handler succeeds again, its events are handled in batches");
      else {
        log.warn(
          { handler, failures: FAILING_AFTER },
          "handler keeps failing, its events become deliveries of their own, of which few are tried until one succeeds",
        );
      }
    },
  };
}
