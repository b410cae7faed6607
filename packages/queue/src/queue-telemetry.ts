import { type Context, isSampledIn, isTracing, SpanKind } from "@penstock/telemetry";
import type { Span, Telemetry } from "bullmq";
import { BullMQOtel } from "bullmq-otel";

/** The span of what is not sampled or nobody wants to see: its children belong to whatever was active before. */
const nobody: Span<Context> = {
  setSpanOnContext: (context) => context,
  setAttribute: () => undefined,
  setAttributes: () => undefined,
  addEvent: () => undefined,
  recordException: () => undefined,
  end: () => undefined,
};

/**
 * BullMQ's own tracing by bullmq-otel, while tracing is on: a span for what adds a job and for what runs one, in one trace
 * since the job carries it. They begin no trace: of a batch that is not sampled where it is committed, the job carries
 * nothing, and OpenTelemetry is not called. What BullMQ does beside that (polls, locks, the search for stalled jobs) gets none: it goes on
 * for ever, on timers that would hang on whatever span was active when they were set.
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
