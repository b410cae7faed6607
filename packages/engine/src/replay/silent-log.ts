import type { EngineLog } from "../contract/engine-context.ts";

/** A log that says nothing: what a handler logs in a dry run is not about what happened. */
export function createSilentLog(): EngineLog {
  const nothing = (): void => undefined;
  const log: EngineLog = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => log };
  return log;
}
