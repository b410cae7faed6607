import type { Engine } from "@penstock/engine";
import { type Logger, onceInAWhile } from "@penstock/telemetry";
import type { Store } from "@penstock/store";
import { type Bell, repeat } from "../repeat.ts";
import { inShort } from "../in-short.ts";

/** What every service of a worker works with. */
export interface Workplace {
  readonly engine: Engine;
  readonly store: Store;
  readonly log: Logger;
  /** Aborted when nothing more is to be begun. */
  readonly closing: AbortSignal;
}

/** Something that a worker does for as long as it runs. */
export interface Service {
  /** Resolves once the worker is closing and what the service began has ended. */
  readonly done: Promise<unknown>;
  /** Hears for which subscribers this worker has just recorded deliveries that are due. */
  kick?(waiting: readonly string[]): void;
}

/** What is said without a stack: it would tell where we noticed, and nothing of the outage. */
const OUTAGES = new Set(["QUEUE_UNAVAILABLE", "DATABASE_UNAVAILABLE"]);

/** Does something again and again; see `repeat`. What it fails with is logged once in a while. */
export function loop(
  { log, closing }: Pick<Workplace, "log" | "closing">,
  everyMs: number,
  what: string,
  work: () => Promise<boolean | void>,
  bell?: Bell,
): Promise<void> {
  const sayFailure = onceInAWhile();
  const onFailure = (error: unknown): void => {
    const fields = OUTAGES.has(inShort(error).code ?? "") ? inShort(error) : { err: error };
    sayFailure(() => log.warn(fields, `${what} failed, it is tried again`));
  };
  return repeat(everyMs, closing, work, onFailure, bell);
}
