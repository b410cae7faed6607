import { eventually } from "@penstock/testing";
import { expect, test } from "vitest";

test("an assertion is tried until it holds, and its value is given", async () => {
  let tries = 0;
  const value = await eventually(() => {
    tries++;
    expect(tries).toBeGreaterThan(2);
    return "held";
  });
  expect({ value, tries }).toEqual({ value: "held", tries: 3 });
});

test("an assertion that never holds ends with its last failure", async () => {
  let tries = 0;
  const hopeless = eventually(() => Promise.reject(new Error(`try ${++tries}`)), { timeoutMs: 120, intervalMs: 20 });
  await expect(hopeless).rejects.toSatisfy((error: Error) => error.message === `try ${tries}`);
});
