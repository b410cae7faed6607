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
import { isParentHeeded, isTraceMade, isTracing } from "./tracing-state.ts";

export type { Context, Span, SpanContext };
export { SpanKind };

/** How a stage stands to the spans around it. Attributes are ids, types and counts, never bodies. */
export interface SpanOptions {
  /** A function is called for spans that are sampled alone. */
  readonly attributes?: Attributes | (() => Attributes);
  readonly kind?: SpanKind;
  /**
   * What it belongs to. Unless given, the span that is active: without one there is no span, since no trace begins by
   * accident. {@link newTrace} begins one, and {@link noTrace} makes none.
   */
  readonly parent?: Context;
  /**
   * What it has to do with in other traces. Only what is sampled is linked: the others lead nowhere.
   *
   * A span that begins a trace (`parent: newTrace`) and has links shares the sampling of the first of them: it is made
   * exactly when that one is sampled. So a batch is as likely to be sampled as an event is, and none is sampled without
   * its first event.
   */
  readonly links?: readonly (SpanContext | null)[];
}

/** The context in which a span begins a trace, which the sampler decides about. */
export const newTrace: Context = ROOT_CONTEXT;

/** The context of what is not sampled: no span is made in it, and nobody is asked. */
export const noTrace: Context = ROOT_CONTEXT.setValue(createContextKey("penstock.no-trace"), true);

const tracer = trace.getTracer("penstock");

/** What there is instead of a span where none is made. */
const noSpan = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

/** Starts a span that the caller ends. One that is not sampled records nothing, and is the same object every time. */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  if (!isTracing()) return noSpan;
  const { attributes, kind, links, parent = context.active() } = options;
  if (parent === noTrace) return noSpan;
  const above = trace.getSpan(parent);
  if (above === undefined) {
    if (options.parent === undefined) return noSpan;
    if (links === undefined ? !isTraceMade() : !isSampled(links[0] ?? INVALID_SPAN_CONTEXT)) return noSpan;
  } else if (isParentHeeded() && !isSampled(above.spanContext())) return noSpan;
  const span = tracer.startSpan(
    name,
    { ...(kind !== undefined && { kind }), ...(links && { links: links.flatMap(toLink) }) },
    parent,
  );
  if (!isSampled(span.spanContext())) return noSpan;
  if (attributes !== undefined) span.setAttributes(typeof attributes === "function" ? attributes() : attributes);
  return span;
}

/**
 * Runs a stage of an event's way in a span of its own, which ends with it and carries its error. Costs next to nothing
 * where nothing is sampled.
 *
 * @example
 * await withSpan("process batch", { attributes: { "penstock.batch": 42 } }, () => processBatch(42));
 */
export async function withSpan<T>(name: string, options: SpanOptions, stage: (span: Span) => Promise<T>): Promise<T> {
  if (!isTracing()) return stage(noSpan);
  const span = startSpan(name, options);
  if (span !== noSpan) return inSpan(span, () => stage(span), options.parent);
  // What is not sampled must not seem to belong to the span around it, of a batch for example.
  return activeSpan() === undefined ? stage(noSpan) : context.with(noTrace, () => stage(noSpan));
}

/** Runs a stage in a span that was started for it (below `parent`), which ends with it and carries its error. */
export async function inSpan<T>(span: Span, stage: () => Promise<T>, parent?: Context): Promise<T> {
  try {
    return await context.with(contextOf(span, parent), stage);
  } catch (error) {
    markFailed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** The context in which spans are children of this one; {@link noTrace} when it is not sampled. */
export function contextOf(span: Span, parent: Context = context.active()): Context {
  // Not isRecording(): a span that has ended records no more, and can still be a parent.
  return isSampled(span.spanContext()) ? trace.setSpan(parent, span) : noTrace;
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
export function addLink(span: Span, to: SpanContext | null): void {
  if (span.isRecording()) span.addLinks(toLink(to));
}

/** The span that is active; undefined outside of any, and where nothing is sampled. */
export function activeSpan(): Span | undefined {
  return trace.getSpan(context.active());
}

/** Whether spans in this context are sampled. */
export function isSampledIn(within: Context = context.active()): boolean {
  return isSampled(trace.getSpanContext(within) ?? INVALID_SPAN_CONTEXT);
}

function toLink(to: SpanContext | null): Link[] {
  return to !== null && isSampled(to) ? [{ context: to }] : [];
}

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}
