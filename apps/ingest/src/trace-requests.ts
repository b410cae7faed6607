import { contextFromHeaders, inSpan, isTracing, markFailed, SpanKind, startSpan } from "@penstock/telemetry";
import type { Request, Response } from "express";

type Route = (req: Request, res: Response) => Promise<void>;

/**
 * Gives each request that is sampled a server span by the semantic conventions for HTTP, in the trace of the sender's
 * `traceparent` where it sends one. Here it is decided whether an event's trace is sampled, from the request to the last
 * effect: of one that is not, nothing more is asked. Made here and not by the instrumentations of http and express, which
 * cost as much as all else that a request does.
 */
export function traceRequests(route: Route): Route {
  if (!isTracing()) return route;
  return function tracedRoute(req, res) {
    const parent = contextFromHeaders(req.headers);
    const span = startSpan(`${req.method} /webhooks/:source`, {
      kind: SpanKind.SERVER,
      parent,
      attributes: () => ({
        "http.request.method": req.method,
        "http.route": "/webhooks/:source",
        "url.path": req.path,
        "url.scheme": req.protocol,
      }),
    });
    if (!span.isRecording()) return route(req, res);
    return inSpan(
      span,
      async () => {
        await route(req, res);
        // A sender that has gone got no answer.
        if (!res.headersSent) return;
        span.setAttribute("http.response.status_code", res.statusCode);
        // What a sender did wrong is no error of ours.
        if (res.statusCode >= 500) markFailed(span);
      },
      parent,
    );
  };
}
