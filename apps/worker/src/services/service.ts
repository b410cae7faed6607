import type { Engine } from "@penstock/engine";
import { type Logger, onceInAWhile } from "@penstock/telemetry";
import type { Store } from "@penstock/store";
import { type WakeSignal, repeat } from "../repeat.ts";
import { summarizeError } from "../summarize-error.ts";

/** What every service of a worker works with. */
export interface ServiceContext {
  readonly engine: Engine;
  readonly store: Store;
  readonly log: Logger;
  /** Aborted once no more work may start. */
  readonly closing: AbortSignal;
}

/** Something that a worker does for as long as it runs. */
export interface Service {
  /** Resolves once the worker is closing and all work of the service has ended. */
  readonly done: Promise<unknown>;
  /** Called with the subscribers for which this worker has just recorded deliveries that are due. */
  wake?(waiting: readonly string[]): void;
}

/** Errors that are logged without a stack, which would say nothing about the outage. */
const OUTAGES = new Set(["QUEUE_UNAVAILABLE", "DATABASE_UNAVAILABLE"]);

/** Does some work again and again; see `repeat`. Failures are logged once in a while. */
export function loop(
  { log, closing }: Pick<ServiceContext, "log" | "closing">,
  everyMs: number,
  what: string,
  work: () => Promise<boolean | void>,
  wakeSignal?: WakeSignal,
): Promise<void> {
  const logFailure = onceInAWhile();
  const onFailure = (error: unknown): void => {
    const fields = OUTAGES.has(summarizeError(error).code ?? "") ? summarizeError(error) : { err: error };
    logFailure(() => log.warn(fields, `${what} failed, it is tried again`));
  };
  return repeat(everyMs, closing, work, onFailure, wakeSignal);
}
