import { expect, test } from "vitest";
import { KINDS, schedule, type Step } from "./schedule.ts";

function first(count: number, ...of: Parameters<typeof schedule>): Step[] {
  const steps = schedule(...of);
  return Array.from({ length: count }, () => steps.next().value);
}

test("the same seed has the same schedule, and another seed another one", () => {
  expect(first(50, 7, "redis")).toEqual(first(50, 7, "redis"));
  expect(first(50, 7, "redis")).not.toEqual(first(50, 8, "redis"));
});

test("every kind of fault comes, two of a step never befall the same, and each lasts as long as it may", () => {
  const faults = first(5_000, 1, "redis").map((step) => step.faults);
  expect(new Set(faults.flat().map(({ kind }) => kind))).toEqual(new Set(Object.keys(KINDS)));
  expect(faults.filter((of) => of.length === 2).length).toBeGreaterThan(1_000);
  for (const of of faults) {
    expect(new Set(of.map(({ kind }) => KINDS[kind].target)).size).toBe(of.length);
    for (const { kind, lastsMs } of of) {
      const [least, most] = KINDS[kind].seconds;
      expect(lastsMs).toBeGreaterThanOrEqual(least * 1_000);
      expect(lastsMs).toBeLessThanOrEqual(most * 1_000);
    }
  }
});

test("without Redis nothing befalls it, and faults can be chosen", () => {
  const kinds = first(2_000, 1, "postgres").flatMap(({ faults }) => faults.map(({ kind }) => kind));
  expect(kinds.filter((kind) => kind.startsWith("redis"))).toEqual([]);
  const chosen = first(100, 1, "redis", ["worker-killed"]).flatMap(({ faults }) => faults.map(({ kind }) => kind));
  expect(new Set(chosen)).toEqual(new Set(["worker-killed"]));
  expect(() => first(1, 1, "redis", ["flood"])).toThrow("no kind of fault is named flood");
});
