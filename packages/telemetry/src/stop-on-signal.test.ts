import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createLogger } from "./logger.ts";
import { stopOnSignal } from "./stop-on-signal.ts";

const EVENTS = ["SIGTERM", "SIGINT"] as const;
const others = EVENTS.map((signal) => process.listeners(signal));
const exit = vi.spyOn(process, "exit").mockImplementation((() => undefined) as never);

let stops: number;
beforeEach(() => {
  vi.spyOn(process.stdin, "resume").mockReturnValue(process.stdin);
  stops = 0;
  exit.mockClear();
  const log = createLogger({ service: "test", level: "silent" });
  stopOnSignal({ log, hardStopMs: 60_000, supervised: true }, () => {
    stops++;
    return new Promise(() => undefined);
  });
});
afterEach(() => {
  process.stdin.removeAllListeners("end").removeAllListeners("error");
  for (const [at, signal] of EVENTS.entries()) {
    for (const listener of process.listeners(signal)) {
      if (!others[at]?.includes(listener)) process.off(signal, listener);
    }
  }
});

test("a supervisor that goes after it has sent SIGTERM does not cut the stop short", () => {
  process.emit("SIGTERM");
  process.stdin.emit("end");
  process.stdin.emit("error", new Error("gone"));
  expect(stops).toBe(1);
  expect(exit).not.toHaveBeenCalled();
});

test("a supervisor that is gone begins a stop, and a signal after it ends the process at once", () => {
  process.stdin.emit("end");
  expect(stops).toBe(1);
  expect(exit).not.toHaveBeenCalled();
  process.emit("SIGTERM");
  expect(exit).toHaveBeenCalledWith(1);
});
