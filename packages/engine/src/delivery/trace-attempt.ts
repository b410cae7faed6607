import { addLink, type Span, SpanKind, toContext, toSpanContext, withSpan } from "@penstock/telemetry";
import type { ClaimedDelivery } from "../contract/engine-store.ts";
import { OPERATION } from "../event/event-traces.ts";

/** Runs an attempt under a span of its event's trace. The span links to the attempt before, since nested spans could get deep. */
export function traceAttempt<T>(delivery: ClaimedDelivery, run: (span: Span) => Promise<T>): Promise<T> {
  const { seq, subscriber, attempt, traceparent, lastAttempt } = delivery;
  const attributes = () => ({
    "penstock.seq": seq,
    "penstock.handler": subscriber,
    "penstock.attempt": attempt,
    ...OPERATION,
  });
  const parent = toContext(traceparent);
  return withSpan("process event", { kind: SpanKind.CONSUMER, parent, attributes }, (span) => {
    if (span.isRecording()) addLink(span, toSpanContext(lastAttempt));
    return run(span);
  });
}
