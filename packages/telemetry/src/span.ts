import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  INVALID_SPAN_CONTEXT,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { isTracing } from "./tracing-state.ts";

export type { Context, Span, SpanContext };
export { SpanKind };

/** How a stage stands to the spans around it. Attributes are ids, types and counts, never bodies. */
export interface SpanOptions {
  readonly attributes?: Attributes;
  readonly kind?: SpanKind;
  /** What it belongs to: the span that is active unless given; {@link newTrace} for a trace of its own. */
  readonly parent?: Context;
  /** What it has to do with in other traces. Only what is sampled is linked: the others lead nowhere. */
  readonly links?: readonly (SpanContext | null)[];
}

/** The context of no trace. */
export const newTrace: Context = ROOT_CONTEXT;

const tracer = trace.getTracer("penstock");

/** What there is instead of a span while tracing is off. */
const noSpan = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

/**
 * Where the span of a trace that is not sampled stands in a context. Not in OpenTelemetry's own place: the instrumentations
 * of pg and ioredis do their whole work for every command below any span, also below one that records nothing.
 */
const UNSAMPLED = createContextKey("penstock.unsampled");

/** Starts a span that the caller ends. */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  if (!isTracing()) return noSpan;
  const { attributes, kind, links, parent = context.active() } = options;
  const unsampled = parent.getValue(UNSAMPLED) as Span | undefined;
  if (unsampled !== undefined) return unsampled;
  return tracer.startSpan(
    name,
    {
      ...(attributes && { attributes }),
      ...(kind !== undefined && { kind }),
      ...(links && { links: links.flatMap(toLink) }),
    },
    parent,
  );
}

/**
 * Runs a stage of an event's way in a span of its own, which ends with it and carries its error. Costs next to nothing
 * while tracing is off.
 *
 * @example
 * await withSpan("process batch", { attributes: { "penstock.batch": 42 } }, () => processBatch(42));
 */
export async function withSpan<T>(name: string, options: SpanOptions, stage: (span: Span) => Promise<T>): Promise<T> {
  if (!isTracing()) return stage(noSpan);
  const span = startSpan(name, options);
  try {
    return await context.with(contextOf(span, options.parent), () => stage(span));
  } catch (error) {
    markFailed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** The context of a trace elsewhere that is not sampled: spans in it are that one, which records nothing. */
export function unsampledContext(elsewhere: SpanContext): Context {
  return ROOT_CONTEXT.setValue(UNSAMPLED, trace.wrapSpanContext(elsewhere));
}

/** The context in which spans are children of this one. */
export function contextOf(span: Span, parent: Context = context.active()): Context {
  if (parent.getValue(UNSAMPLED) === span) return parent;
  const spanContext = span.spanContext();
  // Not isRecording(): a span that has ended records no more, and can still be a parent.
  if (isSampled(spanContext)) return trace.setSpan(parent, span);
  if (!trace.isSpanContextValid(spanContext)) return parent;
  const bare = trace.getSpan(parent) === undefined ? parent : trace.deleteSpan(parent);
  return bare.setValue(UNSAMPLED, span);
}

/** Runs something outside of every span: what outlives a request must not belong to it. */
export function detached<T>(work: () => T): T {
  return context.with(ROOT_CONTEXT, work);
}

/**
 * Says that what a span stands for has failed, and by which kind of error. Not its message, which can quote a body:
 * JSON.parse does, and so does Postgres. The message stands in the record of the attempt.
 */
export function markFailed(span: Span, error?: unknown): void {
  if (!span.isRecording()) return;
  if (error instanceof Error) {
    const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
    span.setAttribute("error.type", code ?? error.name);
  }
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Links a span to another one that it came to know after its start. */
export function addLink(span: Span, to: SpanContext): void {
  if (span.isRecording()) span.addLinks(toLink(to));
}

/** A context as OpenTelemetry's own API sees it: for libraries that propagate what is not sampled, too. */
export function toVisible(from: Context = context.active()): Context {
  const unsampled = from.getValue(UNSAMPLED) as Span | undefined;
  return unsampled === undefined ? from : trace.setSpan(from, unsampled);
}

/** The span that is active, also one that is not sampled; undefined outside of any. */
export function activeSpan(): Span | undefined {
  return spanOf(context.active());
}

/** The span of a context, also one that is not sampled. */
export function spanOf(from: Context): Span | undefined {
  return trace.getSpan(from) ?? (from.getValue(UNSAMPLED) as Span | undefined);
}

function toLink(to: SpanContext | null): Link[] {
  return to !== null && isSampled(to) ? [{ context: to }] : [];
}

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}
