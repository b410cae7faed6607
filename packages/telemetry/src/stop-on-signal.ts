import type { Logger } from "./logger.ts";

/**
 * Stops a process in order: on SIGTERM or SIGINT, or when the supervisor that started it (`PENSTOCK_SUPERVISED=1`) is
 * gone, which closes its standard input. A second signal ends it at once (a supervisor that goes after its signal is none),
 * and so does a stop that takes longer than `hardStopMs`. To be called by a `main.ts`.
 */
export function stopOnSignal(log: Logger, hardStopMs: number, stop: () => Promise<void>): void {
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
    process.on(signal, () => {
      if (stopping) process.exit(1);
      begin(signal);
    });
  }
  if (process.env["PENSTOCK_SUPERVISED"] === "1") {
    process.stdin.on("end", () => begin("supervisor gone")).on("error", () => begin("supervisor gone"));
    process.stdin.resume();
  }
}
