import { trace } from "@opentelemetry/api";
import { expect, onTestFinished, test } from "vitest";
import { newTrace, noTrace, startSpan } from "./span.ts";
import { isTraceparent, receivedTraceparent, toContext, toSpanContext, toTraceparent } from "./trace-context.ts";
import { setTracing } from "./tracing-state.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

/** Turns tracing on for a test, with a sampler. */
function traceFor(sampler?: string): void {
  setTracing(true, { OTEL_TRACES_SAMPLER: sampler });
  onTestFinished(() => setTracing(false));
}

test("a traceparent comes back as it was stored", () => {
  traceFor();
  const traceparent = `00-${TRACE}-${SPAN}-01`;
  expect(isTraceparent(traceparent)).toBe(true);
  const span = trace.getSpan(toContext(traceparent));
  expect(toTraceparent(span!)).toBe(traceparent);
});

test("what is stored with an event that is not sampled says so, and in whose trace it is", () => {
  traceFor();
  const sent = receivedTraceparent(`00-${TRACE}-${SPAN}-01`);
  expect(sent).toBe(`00-${TRACE}-${SPAN}-00`);
  const alone = receivedTraceparent(undefined);
  expect(isTraceparent(alone)).toBe(false);
  expect([sent, alone, receivedTraceparent("x")].map(toContext)).toEqual([noTrace, noTrace, noTrace]);
});

test("while tracing is off, a sender's traceparent is stored as it came, and nothing where there is none", () => {
  expect(receivedTraceparent(`00-${TRACE}-${SPAN}-01`)).toBe(`00-${TRACE}-${SPAN}-01`);
  expect(receivedTraceparent(undefined)).toBeNull();
  expect(receivedTraceparent("x")).toBeNull();
});

test.each([
  [undefined, true],
  ["parentbased_traceidratio", true],
  ["always_on", false],
  ["traceidratio", false],
])(
  "with the sampler %s, what belongs to a trace that is not sampled makes no span of its own: %s",
  (sampler, heeds) => {
    traceFor(sampler);
    expect(toContext(`00-${TRACE}-${SPAN}-00`) === noTrace).toBe(heeds);
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
  expect(toTraceparent(trace.getSpan(toContext(`00-${TRACE}-${SPAN}-01`))!)).toBeNull();
});
