import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { eventually } from "@penstock/testing";

type Attributes = Readonly<Record<string, unknown>>;

/** A span as it came over the wire. */
export interface ReceivedSpan {
  readonly service: string;
  readonly scope: string;
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly attributes: Attributes;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
}

/** A receiver of OTLP over HTTP in JSON. */
export interface OtlpSink {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** The metrics that came, by name, with their units. */
  readonly metrics: ReadonlyMap<string, string>;
  /** All that came, as text. */
  readonly text: () => string;
  /** The spans of a trace with this name, once there are as many as wanted. */
  inTrace(traceId: string, name: string, count?: number): Promise<ReceivedSpan[]>;
  /** The span with this id, once it has come. */
  bySpanId(spanId: string): Promise<ReceivedSpan>;
  childrenOf(parent: ReceivedSpan): ReceivedSpan[];
  close(): void;
}

interface KeyValue {
  key: string;
  value: Record<string, unknown>;
}

interface TraceRequest {
  resourceSpans?: {
    resource: { attributes: KeyValue[] };
    scopeSpans: {
      scope: { name: string };
      spans: {
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        name: string;
        kind: number;
        attributes: KeyValue[];
        links?: { traceId: string; spanId: string }[];
        status: { code?: number };
      }[];
    }[];
  }[];
  resourceMetrics?: { scopeMetrics: { metrics: { name: string; unit: string }[] }[] }[];
}

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];

/** Starts a sink on a free port of this machine. */
export async function startOtlpSink(): Promise<OtlpSink> {
  const spans: ReceivedSpan[] = [];
  const metrics = new Map<string, string>();
  const texts: string[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString();
      texts.push(text);
      const body = JSON.parse(text) as TraceRequest;
      spans.push(...toSpans(body));
      for (const { scopeMetrics } of body.resourceMetrics ?? []) {
        for (const scope of scopeMetrics) for (const { name, unit } of scope.metrics) metrics.set(name, unit);
      }
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    metrics,
    text: () => texts.join("\n"),
    inTrace: (traceId, name, count = 1) =>
      eventually(() => {
        const found = spans.filter((span) => span.traceId === traceId && span.name === name);
        if (found.length < count) {
          const there = spans.filter((span) => span.traceId === traceId).map((span) => span.name);
          throw new Error(`${found.length} of ${count} spans "${name}" in trace ${traceId}: ${there.join(", ")}`);
        }
        return Promise.resolve(found);
      }),
    bySpanId: (spanId) =>
      eventually(() => {
        const found = spans.find((span) => span.spanId === spanId);
        return found ? Promise.resolve(found) : Promise.reject(new Error(`no span ${spanId}`));
      }),
    childrenOf: ({ traceId, spanId }) =>
      spans.filter((span) => span.traceId === traceId && span.parentSpanId === spanId),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function toSpans({ resourceSpans = [] }: TraceRequest): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => ({
        service: String(toAttributes(resource.attributes)["service.name"]),
        scope: scope.name,
        name: span.name,
        kind: KINDS[span.kind] ?? String(span.kind),
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId || undefined,
        attributes: toAttributes(span.attributes),
        links: span.links ?? [],
        failed: span.status.code === 2,
      })),
    ),
  );
}

function toAttributes(list: readonly KeyValue[]): Attributes {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
}
