import {
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { isSampledIn, newTrace, noTrace } from "./span.ts";
import { isParentHeeded, isTracing } from "./tracing-state.ts";

const FORM = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/**
 * What is stored in place of a `traceparent` with an event that was not sampled where it came in and whose sender began no
 * trace: a worker must not decide anew. It is the flags of W3C Trace Context alone, since ids would name nothing and cost
 * their bytes for each event.
 */
const NOT_SAMPLED = "00";

/** True when a header is of the form of W3C Trace Context. Nobody signs it: what is not must not be stored. */
export function isTraceparent(value: string | null | undefined): value is string {
  return value != null && toSpanContext(value) !== null;
}

/** What a stored `traceparent` names, e.g. to link to it; null when there is none, or none that is one. */
export function toSpanContext(traceparent: string | null): SpanContext | null {
  const [, traceId = "", spanId = "", flags = ""] = FORM.exec(traceparent ?? "") ?? [];
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return trace.isSpanContextValid(spanContext) ? spanContext : null;
}

/**
 * The context in which spans belong to the trace that a stored `traceparent` names; without one, to a new trace. Where
 * that trace is not sampled, and parents are heeded, there are none.
 */
export function toContext(traceparent: string | null): Context {
  if (traceparent === NOT_SAMPLED) return noTrace;
  const spanContext = toSpanContext(traceparent);
  if (spanContext === null) return newTrace;
  const isLost = spanContext.traceFlags === TraceFlags.NONE && isParentHeeded();
  return isLost ? noTrace : trace.setSpan(newTrace, trace.wrapSpanContext(spanContext));
}

/** The context in which spans belong to the trace that a request names in its headers; without one, to a new trace. */
export function contextFromHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Context {
  const names = propagation.fields().some((field) => headers[field] !== undefined);
  return names ? propagation.extract(ROOT_CONTEXT, headers) : newTrace;
}

/** What to store of a span, so that whatever comes later can belong to its trace; null where none is sampled. */
export function toTraceparent(span: Span): string | null {
  const spanContext = span.spanContext();
  // While it is off, spans are those that were handed in. One that is not sampled names no trace.
  return isTracing() && (spanContext.traceFlags & TraceFlags.SAMPLED) !== 0 ? format(spanContext) : null;
}

/**
 * What to store with an event that comes in by a request with this `traceparent`, unless the event has a span of its own:
 * the sender's trace, or none. While tracing is on, it also says that the request was not sampled.
 */
export function receivedTraceparent(header: string | undefined): string | null {
  const sent = header === undefined ? null : toSpanContext(header);
  if (!isTracing() || isSampledIn()) return sent === null ? null : (header ?? null);
  return sent === null ? NOT_SAMPLED : format({ ...sent, traceFlags: TraceFlags.NONE });
}

/** The trace that an event's log lines are told by although it is not sampled: its sender's. */
export function unsampledTrace(traceparent: string | null): { readonly traceId?: string } {
  if (traceparent === null || traceparent === NOT_SAMPLED) return {};
  const spanContext = toSpanContext(traceparent);
  return spanContext?.traceFlags === TraceFlags.NONE ? { traceId: spanContext.traceId } : {};
}

function format({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${(traceFlags & TraceFlags.SAMPLED).toString(16).padStart(2, "0")}`;
}
