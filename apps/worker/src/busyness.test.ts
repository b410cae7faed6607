import { expect, test } from "vitest";
import { createBusyness } from "./busyness.ts";

/** A process that is told what it does. */
function createProcess() {
  let nowMs = 0;
  let activeMs = 0;
  return {
    nowMs: () => nowMs,
    activeMs: () => activeMs,
    compute: (ms: number) => {
      nowMs += ms;
      activeMs += ms;
    },
    rest: (ms: number) => void (nowMs += ms),
  };
}

test("a process is busy once it has computed for a second, and no longer once it has rested for one", () => {
  const process = createProcess();
  const isBusy = createBusyness(process);
  expect(isBusy()).toBe(false);
  process.compute(999);
  expect(isBusy()).toBe(false);
  process.compute(1);
  expect(isBusy()).toBe(true);
  process.rest(999);
  expect(isBusy()).toBe(true);
  process.rest(1);
  expect(isBusy()).toBe(false);
});

test.each([
  [800, 200, true],
  [799, 201, false],
])("a process that computes for %i ms and rests for %i is busy: %s", (computes, rests, expected) => {
  const process = createProcess();
  const isBusy = createBusyness(process);
  process.compute(computes);
  process.rest(rests);
  expect(isBusy()).toBe(expected);
});
