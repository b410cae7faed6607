import { adminRoutes } from "@penstock/schemas/admin";
import type { Logger } from "@penstock/telemetry";
import express, { type Express, type NextFunction, type Request, type Response, Router } from "express";
import helmet from "helmet";
import { toOpenApi } from "./api/openapi.ts";
import { Problem, sendProblem } from "./api/problem.ts";
import { type ApiOptions, type Handlers, registerRoutes } from "./api/register-routes.ts";
import { originOf } from "./api/same-origin.ts";
import { serveDocs } from "./docs-page.ts";
import type { QueueBoardRoute } from "./queue-board.ts";
import { serveWeb } from "./web-files.ts";

export interface ConsoleAppOptions extends ApiOptions {
  readonly handlers: Handlers<typeof adminRoutes>;
  readonly trustProxyHops: number;
  readonly queueBoard: QueueBoardRoute;
  /** The folder of the built page. */
  readonly webFolder: string;
  readonly version: string;
  /** Whether people can sign in by a provider of identities. */
  readonly hasOidc: boolean;
  /** The address of a trace, with `{traceId}` in it; null: none is linked to. */
  readonly traceUrl: string | null;
}

const MAX_BODY = "2mb";

/** The HTTP surface of the console: the admin API, its description, and the page. */
export function createConsoleApp(options: ConsoleAppOptions): Express {
  const { place, webFolder, version } = options;
  const app = express();
  app.disable("x-powered-by");
  app.set("trust proxy", options.trustProxyHops);
  app.use(secureHeaders(place.origin?.startsWith("https:") ?? false));
  app.use((req, _res, next) => {
    originOf(req, place); // by a name that is not ours nothing is answered
    next();
  });

  const router = Router();
  router.use("/api/v1", createApi(options));
  const basePath = `${place.basePath}/`;
  router.use("/queue", ...options.queueBoard.handlers);
  serveDocs(router, webFolder, basePath);
  serveWeb(router, webFolder, { basePath, version, hasOidc: options.hasOidc, traceUrl: options.traceUrl });
  if (place.basePath !== "") {
    // Cookies are of what is below the path: without the slash, nobody would be signed in.
    app.use((req, res, next) => {
      const [path, query] = req.originalUrl.split(/\?(.*)/s);
      if (path !== place.basePath) return next();
      res.redirect(308, query === undefined ? basePath : `${basePath}?${query}`);
    });
    // A proxy may leave the path in front or take it away.
    app.use(place.basePath, router);
  }
  app.use(router);
  app.use(answerErrors(options.log));
  return app;
}

/** `/api/v1`, without the page on which it is browsed. */
function createApi(options: ConsoleAppOptions): Router {
  const api = Router();
  // With every answer, refusals included: the command line tells by it whether it speaks to a console of its own version.
  api.use((_req, res, next) => {
    res.set("penstock-version", options.version);
    next();
  });
  api.use(express.json({ limit: MAX_BODY }));
  registerRoutes(api, adminRoutes, options.handlers, options);
  const openApi = toOpenApi(adminRoutes, options.version);
  api.get("/openapi.json", async (req, res) => {
    if ((await options.authenticate(req)) === null) throw new Problem(401, "Nobody is signed in");
    res.set("cache-control", "no-store").json(openApi);
  });
  api.use((req, _res, next) => {
    if (req.path === "/docs") return next("router");
    throw new Problem(404, "There is no such route", { detail: "All there are: /api/v1/docs" });
  });
  return api;
}

function secureHeaders(https: boolean) {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
      },
    },
    strictTransportSecurity: https,
    xFrameOptions: { action: "deny" },
  });
}

const answerErrors =
  (log: Logger) =>
  (error: unknown, req: Request, res: Response, _next: NextFunction): void => {
    sendProblem(res, toProblem(error, req, log));
  };

function toProblem(error: unknown, req: Request, log: Logger): Problem {
  if (error instanceof Problem) return error;
  const { status, code } = (error ?? {}) as { status?: unknown; code?: unknown };
  // E.g. a body that is no JSON or is too large: Express knows it as a 4xx.
  if (typeof status === "number" && status >= 400 && status < 500) {
    return new Problem(status, status === 413 ? "The body is too large" : "The request cannot be read");
  }
  const { method, path } = req;
  if (code === "DATABASE_UNAVAILABLE") {
    log.warn({ err: error, method, path }, "a request failed: Postgres is away");
    return new Problem(503, "Postgres does not answer", { headers: { "retry-after": "5" } });
  }
  log.error({ err: error, method, path }, "a request failed");
  return new Problem(500, "The console failed at this", { detail: "Its log says why." });
}
