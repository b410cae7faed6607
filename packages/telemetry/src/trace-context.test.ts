import { expect, onTestFinished, test } from "vitest";
import { setTracing } from "./tracing-state.ts";
import { newTrace, spanOf, startSpan } from "./span.ts";
import { isTraceparent, toContext, toSpanContext, toTraceparent } from "./trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

test("a traceparent comes back as it was stored", () => {
  setTracing(true);
  onTestFinished(() => setTracing(false));
  for (const flags of ["00", "01"]) {
    const traceparent = `00-${TRACE}-${SPAN}-${flags}`;
    expect(isTraceparent(traceparent)).toBe(true);
    const span = spanOf(toContext(traceparent));
    expect(toTraceparent(span!)).toBe(traceparent);
  }
});

test.each([
  [undefined, true],
  ["parentbased_traceidratio", true],
  ["always_on", false],
  ["traceidratio", false],
])(
  "with the sampler %s, what belongs to a trace that is not sampled makes no span of its own: %s",
  (sampler, heeds) => {
    setTracing(true, sampler);
    onTestFinished(() => setTracing(false));
    const parent = toContext(`00-${TRACE}-${SPAN}-00`);
    expect(startSpan("stage", { parent }) === spanOf(parent)).toBe(heeds);
  },
);

test("flags that nobody knows yet are dropped, all but the one that says sampled", () => {
  expect(toSpanContext(`cc-${TRACE}-${SPAN}-ff`)).toEqual({
    traceId: TRACE,
    spanId: SPAN,
    traceFlags: 1,
    isRemote: true,
  });
});

test.each([
  undefined,
  "",
  "x",
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE}-${SPAN}-01\n`,
  `00-${TRACE}-${SPAN}-01-more`,
])("%j is no traceparent", (value) => {
  expect(isTraceparent(value)).toBe(false);
  expect(toContext(value ?? null)).toBe(newTrace);
});

test("while tracing is off there is nothing to store", () => {
  expect(toTraceparent(startSpan("anything"))).toBeNull();
  expect(toTraceparent(spanOf(toContext(`00-${TRACE}-${SPAN}-01`))!)).toBeNull();
});
