import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createBusyness } from "./busyness.ts";

test("a process is busy once it has computed for a second, and no longer once it has rested for one", async () => {
  const isBusy = createBusyness();
  expect(isBusy()).toBe(false);
  const end = performance.now() + 1_100;
  while (performance.now() < end);
  expect(isBusy()).toBe(true);
  await delay(1_500);
  expect(isBusy()).toBe(false);
});
