import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { RequestHandler, Router } from "express";
import sirv from "sirv";

/** What the page is told by the server, in a script tag that holds JSON. */
export interface WebSettings {
  /** The path in front of everything, ends with a slash. */
  readonly basePath: string;
  readonly version: string;
}

const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Penstock</title>
<p>The console's page has not been built. In a clone of the repository: <code>node apps/console/build-web.ts</code></p>`;

/**
 * Serves the page: files whose names hold a hash are kept by browsers for ever, and the HTML, which names them, never. Every
 * path that is none of a file is one of the page's own.
 */
export function serveWeb(router: Router, folder: string, settings: WebSettings): void {
  const assets = sirv(join(folder, "assets"), {
    brotli: true,
    gzip: true,
    immutable: true,
    maxAge: 31_536_000,
    etag: true,
  });
  router.use(
    "/assets",
    assets,
    (_req, res) => void res.status(404).type("text/plain").send("There is no such file.\n"),
  );
  router.get("/{*path}", sendPage(join(folder, "index.html"), settings));
}

function sendPage(file: string, { basePath, version }: WebSettings): RequestHandler {
  // `<` would end the script tag from within.
  const json = JSON.stringify({ basePath, version }).replaceAll("<", "\\u003c");
  const head = `<head><base href="${basePath}"><script type="application/json" id="settings">${json}</script>`;
  const page = existsSync(file) ? readFileSync(file, "utf8").replace("<head>", head) : NOT_BUILT;
  return (_req, res) => {
    res.set("cache-control", "no-store").type("html").send(page);
  };
}
