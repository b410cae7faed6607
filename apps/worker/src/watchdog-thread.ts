import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";

const { beat, limitMs } = workerData as { beat: Int32Array; limitMs: number };

// Counted in ticks of this thread, not by the clock: a process that was stopped (SIGSTOP, a suspended laptop) did not block its
// event loop.
const TICK_MS = Math.max(10, Math.min(1_000, limitMs / 10));
let seen = Atomics.load(beat, 0);
let stillTicks = 0;

setInterval(() => {
  const now = Atomics.load(beat, 0);
  stillTicks = now === seen ? stillTicks + 1 : 0;
  seen = now;
  if (stillTicks * TICK_MS < limitMs) return;
  // The main thread is blocked and cannot log.
  const line = { level: "fatal", time: new Date().toISOString(), service: "worker", pid: process.pid, limitMs };
  writeSync(1, `${JSON.stringify({ ...line, msg: "event loop stood still, ending the process" })}\n`);
  process.kill(process.pid, "SIGKILL");
}, TICK_MS);
