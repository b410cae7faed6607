import { expect, test } from "vitest";
import { createSaturation } from "./saturation.ts";

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
  const isSaturated = createSaturation(process);
  expect(isSaturated()).toBe(false);
  process.compute(999);
  expect(isSaturated()).toBe(false);
  process.compute(1);
  expect(isSaturated()).toBe(true);
  process.rest(999);
  expect(isSaturated()).toBe(true);
  process.rest(1);
  expect(isSaturated()).toBe(false);
});

test.each([
  [800, 200, true],
  [799, 201, false],
])("a process that computes for %i ms and rests for %i is busy: %s", (computes, rests, expected) => {
  const process = createProcess();
  const isSaturated = createSaturation(process);
  process.compute(computes);
  process.rest(rests);
  expect(isSaturated()).toBe(expected);
});
