import type { EngineLog } from "../contract/engine-context.ts";

/** So many failures in a row, and a handler fails at everything rather than at an event. */
export const FAILING_AFTER = 20;

/**
 * Handlers that fail whatever they are given, as this process has seen it. A batch does not try them, which would cost the
 * others far more than what they do themselves: their events become deliveries of their own, of which a few are tried
 * until one succeeds.
 */
export interface FailingHandlers {
  /** Takes note of what became of an event. */
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
