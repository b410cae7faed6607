import { expect, test } from "vitest";
import { createWakeSignal, repeat } from "./repeat.ts";

/** A loop whose pauses would outlast any test. */
function loop(wakeSignal = createWakeSignal()) {
  const stop = new AbortController();
  let turns = 0;
  const waiting: (() => void)[] = [];
  const done = repeat(
    86_400_000,
    stop.signal,
    () => {
      turns++;
      for (const wake of waiting.splice(0)) wake();
      return Promise.resolve();
    },
    () => undefined,
    wakeSignal,
  );
  const turn = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  return { wakeSignal, stop, done, turn, turns: () => turns };
}

test("a wakeSignal ends the pause of a loop, each time", async () => {
  const { wakeSignal, stop, done, turn, turns } = loop();
  for (let ring = 0; ring < 3; ring++) {
    const next = turn();
    wakeSignal.wake();
    await next;
  }
  expect(turns()).toBeGreaterThanOrEqual(3);
  stop.abort();
  await done;
});

test("a wakeSignal that rings while the work is under way ends the pause after it", async () => {
  const wakeSignal = createWakeSignal();
  const stop = new AbortController();
  let turns = 0;
  await repeat(
    86_400_000,
    stop.signal,
    () => {
      if (++turns === 1) wakeSignal.wake();
      else stop.abort();
      return Promise.resolve();
    },
    () => undefined,
    wakeSignal,
  );
  expect(turns).toBe(2);
});

test("a signal ends the pause and the loop", async () => {
  const { stop, done } = loop();
  stop.abort();
  await done;
});
