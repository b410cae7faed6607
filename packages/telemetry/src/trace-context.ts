import {
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { unsampledContext } from "./span.ts";
import { isParentHeeded, isTracing } from "./tracing-state.ts";

const FORM = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** True when a header is of the form of W3C Trace Context. Nobody signs it: what is not must not be stored. */
export function isTraceparent(value: string | undefined): value is string {
  return value !== undefined && toSpanContext(value) !== null;
}

/** What a stored `traceparent` names, e.g. to link to it; null when there is none, or none that is one. */
export function toSpanContext(traceparent: string | null): SpanContext | null {
  const [, traceId = "", spanId = "", flags = ""] = FORM.exec(traceparent ?? "") ?? [];
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return trace.isSpanContextValid(spanContext) ? spanContext : null;
}

/** The context in which spans belong to the trace that a stored `traceparent` names; without one, to a new trace. */
export function toContext(traceparent: string | null): Context {
  const spanContext = toSpanContext(traceparent);
  if (spanContext === null) return ROOT_CONTEXT;
  const isLost = spanContext.traceFlags === TraceFlags.NONE && isParentHeeded();
  // As by far the most are: the SDK would make a span of its own for each, and then not sample it.
  return isLost ? unsampledContext(spanContext) : trace.setSpanContext(ROOT_CONTEXT, spanContext);
}

/** The context in which spans belong to the trace that a request names in its headers; without one, to a new trace. */
export function contextFromHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Context {
  return propagation.extract(ROOT_CONTEXT, headers);
}

/** What to store of a span, so that whatever comes later can belong to its trace; null while tracing is off. */
export function toTraceparent(span: Span): string | null {
  const spanContext = span.spanContext();
  // While it is off, spans are those that were handed in.
  if (!isTracing() || !trace.isSpanContextValid(spanContext)) return null;
  const { traceId, spanId, traceFlags } = spanContext;
  return `00-${traceId}-${spanId}-${(traceFlags & TraceFlags.SAMPLED).toString(16).padStart(2, "0")}`;
}
