import type { Logger } from "./logger.ts";

/** How a process is to be stopped. */
export interface StopOptions {
  readonly log: Logger;
  /** A stop that takes longer than this ends the process at once. */
  readonly hardStopMs: number;
  /** Whether a supervisor started the process (`PENSTOCK_SUPERVISED=1`). */
  readonly supervised: boolean;
}

/**
 * Stops a process in order: on SIGTERM or SIGINT, or when its supervisor is gone, which closes the standard input. A
 * second signal ends the process at once; a supervisor that goes after its signal is none. To be called by a `main.ts`.
 */
export function stopOnSignal({ log, hardStopMs, supervised }: StopOptions, stop: () => Promise<void>): void {
  let stopping = false;
  const begin = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, "stopping");
    setTimeout(() => process.exit(1), hardStopMs).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, "could not stop in order");
        process.exit(1);
      },
    );
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // eslint-disable-next-line no-restricted-properties -- a main.ts calls this
    process.on(signal, () => {
      if (stopping) process.exit(1);
      begin(signal);
    });
  }
  if (supervised) {
    process.stdin.on("end", () => begin("supervisor gone")).on("error", () => begin("supervisor gone"));
    process.stdin.resume();
  }
}
