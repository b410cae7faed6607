import { expect, test } from "vitest";
import { createBackoff } from "./backoff.ts";

test("the wait doubles from one second to thirty while lives are short", () => {
  const backoff = createBackoff();
  const waits = Array.from({ length: 7 }, () => backoff.afterLifeOf(10) / 1_000);
  expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30]);
});

test("a minute of life is forgiven", () => {
  const backoff = createBackoff();
  for (let at = 0; at < 5; at++) backoff.afterLifeOf(10);
  expect([backoff.afterLifeOf(60_000), backoff.afterLifeOf(59_999)]).toEqual([1_000, 2_000]);
});
