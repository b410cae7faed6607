import { type Span, SpanKind, toContext, toSpanContext, withSpan } from "@penstock/telemetry";
import type { ClaimedDelivery } from "./engine-store.ts";
import { OPERATION } from "./event-traces.ts";

/** An attempt stands in its event's trace, beside the one before and not inside it: attempts can be many. */
export function traceAttempt<T>(delivery: ClaimedDelivery, run: (span: Span) => Promise<T>): Promise<T> {
  const { seq, subscriber, attempt, traceparent, lastAttempt } = delivery;
  const attributes = {
    "penstock.seq": seq,
    "penstock.handler": subscriber,
    "penstock.attempt": attempt,
    ...OPERATION,
  };
  const links = [toSpanContext(lastAttempt)];
  const options = { kind: SpanKind.CONSUMER, parent: toContext(traceparent), links, attributes };
  return withSpan("process event", options, run);
}
