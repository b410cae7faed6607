import {
  activeSpan,
  addLink,
  type Context,
  contextOf,
  eventAttributes,
  isTracing,
  markFailed,
  noTrace,
  type Span,
  SpanKind,
  startSpan,
  toContext,
  toSpanContext,
  toTraceparent,
} from "@penstock/telemetry";
import type { StoredEvent } from "../contract/engine-store.ts";

/**
 * The spans of sampled events in a transaction that events share, each in its event's own trace. The span of the batch, where one
 * is active, and the spans of the events link to each other.
 */
export interface EventTraces {
  /** The parent of an event's spans. */
  contextOf(event: StoredEvent): Context;
  /** The `traceparent` that later attempts link to; null when the event is not sampled. */
  traceparentOf(event: StoredEvent): string | null;
  quarantined(event: StoredEvent, reason: string): void;
  /** Marks the event's span as failed: a handler has failed. */
  failed(event: StoredEvent, error?: unknown): void;
  /** Ends all spans: committed, or rolled back because of an error. */
  end(error?: unknown): void;
}

/** Tracing is off, or none of the events is sampled. */
const untraced: EventTraces = {
  contextOf: () => noTrace,
  traceparentOf: () => null,
  quarantined: () => undefined,
  failed: () => undefined,
  end: () => undefined,
};

/** Starts the spans of sampled events. `earlier` holds the `traceparent` of each event's attempt before, to link to. */
export function traceEvents(
  events: readonly StoredEvent[],
  earlier: ReadonlyMap<StoredEvent, string | null> = new Map(),
): EventTraces {
  if (!isTracing()) return untraced;
  const batch = activeSpan();
  const spans = new Map<number, { span: Span; context: Context }>();
  for (const event of events) {
    const parent = toContext(event.traceparent);
    if (parent === noTrace) continue;
    const span = startSpan("process event", { kind: SpanKind.CONSUMER, parent });
    if (!span.isRecording()) continue;
    span.setAttributes({ ...eventAttributes(event), ...OPERATION, "penstock.seq": event.seq });
    if (batch !== undefined) {
      addLink(span, batch.spanContext());
      addLink(batch, span.spanContext());
    }
    addLink(span, toSpanContext(earlier.get(event) ?? null));
    spans.set(event.seq, { span, context: contextOf(span, parent) });
  }
  if (spans.size === 0) return untraced;
  return {
    contextOf: ({ seq }) => spans.get(seq)?.context ?? noTrace,
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

/** Attributes of the semantic conventions for messaging, for events in a batch and for later attempts. */
export const OPERATION = {
  "messaging.system": "penstock",
  "messaging.operation.type": "process",
  "messaging.operation.name": "process",
};
