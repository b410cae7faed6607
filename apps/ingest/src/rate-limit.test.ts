import { expect, test } from "vitest";
import { createRateLimit, type RateLimit } from "./rate-limit.ts";

/** A limit whose clock the test turns. */
function limitAt(perSecond: number): { limit: RateLimit; pass(ms: number): void; use(key: string): boolean } {
  let time = 1_000_000;
  const limit = createRateLimit(perSecond, () => time);
  return {
    limit,
    pass: (ms) => void (time += ms),
    use(key) {
      const may = limit.waitMs(key) === 0;
      if (may) limit.spend(key);
      return may;
    },
  };
}

/** How many may go on out of so many that try at once. */
function allowed(use: (key: string) => boolean, tries: number): number {
  return Array.from({ length: tries }, () => use("a")).filter(Boolean).length;
}

test.each([1, 2, 10, 1_000])("%d per second allow so many at once, and then one per share of a second", (perSecond) => {
  const { pass, use } = limitAt(perSecond);
  expect(allowed(use, 2 * perSecond)).toBe(perSecond);
  pass(1_000 / perSecond - 0.5);
  expect(use("a")).toBe(false);
  pass(0.6);
  expect(allowed(use, 2)).toBe(1);
  pass(60_000);
  expect(allowed(use, 2 * perSecond)).toBe(perSecond);
});

test("it says how long the wait is, and asking spends nothing", () => {
  const { limit, pass, use } = limitAt(4);
  allowed(use, 4);
  expect(limit.waitMs("a")).toBeCloseTo(250);
  expect(limit.waitMs("a")).toBeCloseTo(250);
  pass(100);
  expect(limit.waitMs("a")).toBeCloseTo(150);
  pass(200);
  expect(limit.waitMs("a")).toBe(0);
});

test("spending beyond the limit makes the wait longer", () => {
  const { limit } = limitAt(1);
  for (let spent = 0; spent < 5; spent++) limit.spend("a");
  expect(limit.waitMs("a")).toBeCloseTo(5_000);
});

test("keys do not share", () => {
  const { use } = limitAt(1);
  expect(["a", "b", "a", "b"].map(use)).toEqual([true, true, false, false]);
});

test("0 is no limit", () => {
  const { use } = limitAt(0);
  expect(allowed(use, 10_000)).toBe(10_000);
});

test("the keys used last are kept, however many there are, and memory stays bounded", () => {
  const { limit, use } = limitAt(1);
  for (let at = 0; at < 10_000; at++) limit.spend(`key ${at}`);
  limit.spend("key 0"); // used again, so it is not the one to go
  limit.spend("one more");
  expect(use("key 1")).toBe(true); // forgotten
  expect(use("key 0")).toBe(false);
  expect(use("key 9999")).toBe(false);
});
