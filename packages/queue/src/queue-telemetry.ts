import { type Context, isSampledIn, isTracing, SpanKind } from "@penstock/telemetry";
import type { Span, Telemetry } from "bullmq";
import { BullMQOtel } from "bullmq-otel";

/** The span of work that is not sampled or not of interest. Its children belong to the span that was active before. */
const nobody: Span<Context> = {
  setSpanOnContext: (context) => context,
  setAttribute: () => undefined,
  setAttributes: () => undefined,
  addEvent: () => undefined,
  recordException: () => undefined,
  end: () => undefined,
};

/**
 * BullMQ's own tracing by bullmq-otel, while tracing is on: a span for adding a job and one for running it, in one trace that the
 * job carries. Neither span begins a trace: the job of a batch that is not sampled carries nothing, and OpenTelemetry is not
 * called for it. BullMQ's polls, locks and searches for stalled jobs get no span: their timers go on for ever, under the
 * span that was active when they were set.
 */
export function queueTelemetry(): { readonly telemetry?: Telemetry<Context> } {
  if (!isTracing()) return {};
  const { contextManager: contexts, tracer } = new BullMQOtel({ tracerName: "bullmq" });
  const contextManager: Telemetry<Context>["contextManager"] = {
    active: () => contexts.active(),
    with: <Work extends () => unknown>(context: Context, work: Work) =>
      (context === contexts.active() ? work() : contexts.with(context, work)) as ReturnType<Work>,
    getMetadata: (context: Context) => (isSampledIn(context) ? contexts.getMetadata(context) : ""),
    fromMetadata: (active: Context, metadata: string) => contexts.fromMetadata(active, metadata),
  };
  const startSpan = (name: string, options?: { kind: number }, context?: Context): Span<Context> => {
    const kind = options?.kind;
    if ((kind !== SpanKind.PRODUCER && kind !== SpanKind.CONSUMER) || !isSampledIn(context)) return nobody;
    const [operation = "", queue = ""] = name.split(" ", 2);
    const span = tracer.startSpan(`${operation} ${queue.split(".", 1)[0]}`, options, context);
    span.setAttributes({
      "messaging.system": "bullmq",
      "messaging.operation.name": operation,
      "messaging.operation.type": kind === SpanKind.PRODUCER ? "send" : "process",
      "messaging.destination.name": queue.split(".", 1)[0] ?? queue,
    });
    return span;
  };
  return { telemetry: { contextManager, tracer: { startSpan } } };
}
