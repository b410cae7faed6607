import { SingleBar } from "cli-progress";
import type { Output } from "../output/output.ts";

/** Shows how far something is, once it has taken longer than a second and where a person watches standard error. */
export function createProgressBar({ stderr }: Output): { update(done: number, total: number): void; end(): void } {
  const startedAt = performance.now();
  let bar: SingleBar | null = null;
  return {
    update(done, total) {
      if (!stderr.isTTY || performance.now() - startedAt < 1_000) return;
      if (bar === null) {
        bar = new SingleBar({
          format: "sending {bar} {value}/{total}, {eta_formatted} to go",
          stream: stderr,
          clearOnComplete: true,
          // Signals are this program's own affair.
          gracefulExit: false,
          etaBuffer: 100,
        });
        bar.start(total, done);
      }
      bar.update(done);
    },
    end: () => bar?.stop(),
  };
}
