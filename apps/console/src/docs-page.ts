import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Router } from "express";
import helmet from "helmet";

const PREFIX = "scalar-";

/** Serves the page on which the API is browsed (Scalar), below `/api/v1/docs`. It loads nothing from elsewhere. */
export function serveDocs(router: Router, webFolder: string, basePath: string): void {
  // Scalar writes style tags; its page shows nothing of events.
  const csp = helmet.contentSecurityPolicy({
    directives: { "style-src": ["'self'", "'unsafe-inline'"], "upgrade-insecure-requests": null },
  });
  router.get("/api/v1/docs", csp, (_req, res) => {
    const script = findScript(join(webFolder, "assets"));
    const configuration = {
      withDefaultFonts: false,
      telemetry: false,
      // Offers of its maker, which would send the description there.
      hideClientButton: true,
      showDeveloperTools: "never",
      agent: { disabled: true },
      mcp: { disabled: true },
    };
    res.set("cache-control", "no-store").type("html").send(`<!doctype html>
<html lang="en"><head><base href="${basePath}"><meta charset="utf-8"><title>Penstock admin API</title></head>
<body><script id="api-reference" data-url="api/v1/openapi.json"
 data-configuration="${JSON.stringify(configuration).replaceAll('"', "&quot;")}"></script>
<script src="assets/${script}"></script></body></html>`);
  });
}

function findScript(folder: string): string {
  try {
    return readdirSync(folder).find((name) => name.startsWith(PREFIX) && name.endsWith(".js")) ?? "";
  } catch {
    return "";
  }
}
