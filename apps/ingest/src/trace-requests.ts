import { contextFromHeaders, isTracing, markFailed, SpanKind, withSpan } from "@penstock/telemetry";
import type { Request, Response } from "express";

type Route = (req: Request, res: Response) => Promise<void>;

/**
 * Gives each request a server span by the semantic conventions for HTTP, in the trace of the sender's `traceparent` where
 * it sends one. Made here and not by the instrumentations of http and express, which cost as much as all else that a
 * request does.
 */
export function traceRequests(route: Route): Route {
  if (!isTracing()) return route;
  return function tracedRoute(req, res) {
    const attributes = {
      "http.request.method": req.method,
      "http.route": "/webhooks/:source",
      "url.path": req.path,
      "url.scheme": req.protocol,
    };
    const parent = contextFromHeaders(req.headers);
    return withSpan(`${req.method} /webhooks/:source`, { kind: SpanKind.SERVER, attributes, parent }, async (span) => {
      await route(req, res);
      // A sender that has gone got no answer.
      if (!res.headersSent) return;
      span.setAttribute("http.response.status_code", res.statusCode);
      // What a sender did wrong is no error of ours.
      if (res.statusCode >= 500) markFailed(span);
    });
  };
}
