import { expect, onTestFinished, test } from "vitest";
import { isTraceMade, setTracing } from "./tracing-state.ts";

const DRAWS = 10_000;

test.each([
  ["a quarter", "0.25", [2_000, 3_000]],
  ["none", "0", [0, 0]],
  ["all, where the argument is no number", "1 %", [DRAWS, DRAWS]],
])("of traces that begin here are made: %s", (_, share, [least, most]) => {
  setTracing(true, { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: share });
  onTestFinished(() => setTracing(false));
  const made = Array.from({ length: DRAWS }, isTraceMade).filter(Boolean).length;
  expect(made).toBeGreaterThanOrEqual(least!);
  expect(made).toBeLessThanOrEqual(most!);
});
