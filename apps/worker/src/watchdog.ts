import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/**
 * Ends this process with SIGKILL when its event loop stands still for `limitMs`, e.g. in a handler that loops for ever:
 * nothing inside could, and the rows it holds would stay held. 0 turns it off.
 */
export function startWatchdog(limitMs: number): void {
  if (limitMs === 0) return;
  const beat = new Int32Array(new SharedArrayBuffer(4));
  const thread = new URL(`./watchdog-thread${extname(import.meta.url)}`, import.meta.url);
  new Worker(thread, { workerData: { beat, limitMs }, stdout: false }).unref();
  setInterval(() => Atomics.add(beat, 0, 1), Math.max(5, Math.min(500, limitMs / 20))).unref();
}
