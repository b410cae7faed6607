import { extname } from "node:path";
import { Worker } from "node:worker_threads";

/**
 * Ends this process with SIGKILL when its event loop is blocked for `limitMs`, e.g. by a handler that loops for ever: nothing
 * inside could end it, and its rows would stay locked. 0 turns the watchdog off.
 */
export function startWatchdog(limitMs: number): void {
  if (limitMs === 0) return;
  const beat = new Int32Array(new SharedArrayBuffer(4));
  const thread = new URL(`./watchdog-thread${extname(import.meta.url)}`, import.meta.url);
  new Worker(thread, { workerData: { beat, limitMs }, stdout: false }).unref();
  setInterval(() => Atomics.add(beat, 0, 1), Math.max(5, Math.min(500, limitMs / 20))).unref();
}
