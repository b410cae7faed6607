import {
  type Attributes,
  type Context,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";

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

/** Starts a span that the caller ends. */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  const { attributes, kind, links, parent } = options;
  return tracer.startSpan(
    name,
    {
      ...(attributes && { attributes }),
      ...(kind !== undefined && { kind }),
      ...(links && { links: links.flatMap(toLink) }),
    },
    parent ?? context.active(),
  );
}

/**
 * Runs a stage of an event's way in a span of its own, which ends with it and carries its error. Costs next to nothing
 * while tracing is off.
 *
 * @example
 * await withSpan("process batch", { attributes: { "penstock.batch.id": batchId } }, () => processBatch(batchId));
 */
export async function withSpan<T>(name: string, options: SpanOptions, stage: (span: Span) => Promise<T>): Promise<T> {
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

/** The context in which spans are children of this one. */
export function contextOf(span: Span, parent: Context = context.active()): Context {
  return trace.setSpan(parent, span);
}

/** Runs something outside of every span: what outlives a request must not belong to it. */
export function detached<T>(work: () => T): T {
  return context.with(ROOT_CONTEXT, work);
}

/** Says that what a span stands for has failed, and why where an error tells. */
export function markFailed(span: Span, error?: unknown): void {
  if (!span.isRecording()) return;
  if (error instanceof Error) span.recordException(error);
  span.setStatus({ code: SpanStatusCode.ERROR, ...(error instanceof Error && { message: error.message }) });
}

/** Links a span to another one that it came to know after its start. */
export function addLink(span: Span, to: SpanContext): void {
  if (span.isRecording()) span.addLinks(toLink(to));
}

/** The span that is active; undefined outside of any. */
export function activeSpan(): Span | undefined {
  return trace.getActiveSpan();
}

function toLink(to: SpanContext | null): Link[] {
  return to !== null && (to.traceFlags & TraceFlags.SAMPLED) !== 0 ? [{ context: to }] : [];
}
