import { diag, DiagLogLevel } from "@opentelemetry/api";
import type { Logger } from "./logger.ts";
import { onceInAWhile } from "./once-in-a-while.ts";

/** Has what the SDK complains of, e.g. a collector that is away, stand in our log and not be swallowed. */
export function reportTrouble(log: Logger): void {
  const sayOnce = onceInAWhile();
  const report = (message: string, ...details: unknown[]): void => {
    sayOnce(() =>
      log.warn({ details: [message, ...details].map(String) }, "telemetry is in trouble, all else goes on"),
    );
  };
  const nothing = (): void => undefined;
  diag.setLogger(
    { error: report, warn: report, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
