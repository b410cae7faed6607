import {
  activeSpan,
  addLink,
  type Context,
  contextOf,
  eventAttributes,
  isTracing,
  markFailed,
  newTrace,
  type Span,
  SpanKind,
  startSpan,
  toContext,
  toSpanContext,
  toTraceparent,
} from "@penstock/telemetry";
import type { StoredEvent } from "./engine-store.ts";

/**
 * The parts that events have in a transaction they share, each as a span in its event's own trace: linked to the span of
 * the batch, which is active now, and that one to each of them.
 */
export interface EventTraces {
  /** Where spans of an event belong. */
  contextOf(event: StoredEvent): Context;
  /** What later attempts link to; null while tracing is off. */
  traceparentOf(event: StoredEvent): string | null;
  quarantined(event: StoredEvent, reason: string): void;
  /** Some handler has failed, or was the third time taken down with its process. */
  failed(event: StoredEvent, error?: unknown): void;
  /** Ends them all: committed, or, with an error, undone together. */
  end(error?: unknown): void;
}

const untraced: EventTraces = {
  contextOf: () => newTrace,
  traceparentOf: () => null,
  quarantined: () => undefined,
  failed: () => undefined,
  end: () => undefined,
};

/** Starts the spans of events. `earlier`: of each event's attempt before, as a `traceparent`, to be linked to. */
export function traceEvents(
  events: readonly StoredEvent[],
  earlier: ReadonlyMap<StoredEvent, string | null> = new Map(),
): EventTraces {
  if (!isTracing()) return untraced;
  const batch = activeSpan();
  const spans = new Map<number, { span: Span; context: Context }>();
  for (const event of events) {
    const parent = toContext(event.traceparent);
    const links = [batch?.spanContext() ?? null, toSpanContext(earlier.get(event) ?? null)];
    const span = startSpan("process event", { kind: SpanKind.CONSUMER, parent, links });
    if (span.isRecording()) span.setAttributes({ ...eventAttributes(event), ...OPERATION, "penstock.seq": event.seq });
    if (batch !== undefined) addLink(batch, span.spanContext());
    spans.set(event.seq, { span, context: contextOf(span, parent) });
  }
  return {
    contextOf: ({ seq }) => spans.get(seq)?.context ?? newTrace,
    traceparentOf({ seq }) {
      const traced = spans.get(seq);
      return traced === undefined ? null : toTraceparent(traced.span);
    },
    quarantined: ({ seq }, reason) => void spans.get(seq)?.span.setAttribute("penstock.quarantine.reason", reason),
    failed({ seq }, error) {
      const traced = spans.get(seq);
      if (traced) markFailed(traced.span, error);
    },
    end(error) {
      for (const { span } of spans.values()) {
        if (error !== undefined) markFailed(span, error);
        span.end();
      }
    },
  };
}

/** What both a part of a batch and a later attempt are, in the semantic conventions for messaging. */
export const OPERATION = {
  "messaging.system": "penstock",
  "messaging.operation.type": "process",
  "messaging.operation.name": "process",
};
