import { type Attributes, type Span, SpanStatusCode, trace } from "@opentelemetry/api";

const tracer = trace.getTracer("penstock");

/**
 * Runs a stage of an event's way in a span of its own, which ends with it and carries its error. Costs next to nothing
 * while no OpenTelemetry SDK is registered. Attributes are ids, types and counts, never bodies.
 *
 * @example
 * await withSpan("process batch", { "penstock.batch.id": batchId }, () => processBatch(batchId));
 */
export function withSpan<T>(name: string, attributes: Attributes, stage: (span: Span) => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await stage(span);
    } catch (error) {
      if (error instanceof Error) span.recordException(error);
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}
