import { addLink, type Span, SpanKind, toContext, toSpanContext, withSpan } from "@penstock/telemetry";
import type { ClaimedDelivery } from "../contract/engine-store.ts";
import { OPERATION } from "../event/event-traces.ts";

/** An attempt stands in its event's trace, beside the one before and not inside it: attempts can be many. */
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
