import { expect, test } from "vitest";
import { createBell, repeat } from "./repeat.ts";

/** A loop whose pauses would outlast any test. */
function loop(bell = createBell()) {
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
    bell,
  );
  const turn = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  return { bell, stop, done, turn, turns: () => turns };
}

test("a bell ends the pause of a loop, each time", async () => {
  const { bell, stop, done, turn, turns } = loop();
  for (let ring = 0; ring < 3; ring++) {
    const next = turn();
    bell.ring();
    await next;
  }
  expect(turns()).toBeGreaterThanOrEqual(3);
  stop.abort();
  await done;
});

test("a bell that rings while the work is under way ends the pause after it", async () => {
  const bell = createBell();
  const stop = new AbortController();
  let turns = 0;
  await repeat(
    86_400_000,
    stop.signal,
    () => {
      if (++turns === 1) bell.ring();
      else stop.abort();
      return Promise.resolve();
    },
    () => undefined,
    bell,
  );
  expect(turns).toBe(2);
});

test("a signal ends the pause and the loop", async () => {
  const { stop, done } = loop();
  stop.abort();
  await done;
});
