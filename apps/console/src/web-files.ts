import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { RequestHandler, Router } from "express";
import sirv from "sirv";

/** What the page is told by the server, in a script tag that holds JSON; besides, whether there is a cookie of a session. */
export interface WebSettings {
  /** The path in front of everything, ends with a slash. */
  readonly basePath: string;
  readonly version: string;
  /** Whether people can sign in by a provider of identities. */
  readonly hasOidc: boolean;
  /** The address of a trace, with `{traceId}` in it; null: none is linked to. */
  readonly traceUrl: string | null;
}

const SESSION_COOKIE = "penstock.session_token=";
const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Penstock</title>
<p>The console's page has not been built. In a clone of the repository: <code>node apps/console/build-web.ts</code></p>`;

/**
 * Serves the page: files whose names hold a hash are kept by browsers for ever, and the HTML, which names them, never. Every
 * path that is none of a file is one of the page's own.
 */
export function serveWeb(router: Router, folder: string, settings: WebSettings): void {
  const assets = join(folder, "assets");
  // It reads the names of all files at once, and throws where there is no folder.
  const files = existsSync(assets)
    ? [sirv(assets, { brotli: true, gzip: true, immutable: true, maxAge: 31_536_000, etag: true })]
    : [];
  router.use(
    "/assets",
    ...files,
    (_req, res) => void res.status(404).type("text/plain").send("There is no such file.\n"),
  );
  router.get("/{*path}", sendPage(join(folder, "index.html"), settings));
}

function sendPage(file: string, settings: WebSettings): RequestHandler {
  const page = existsSync(file) ? readFileSync(file, "utf8") : NOT_BUILT;
  const [withSession, without] = [true, false].map((hasSession) => {
    // `<` would end the script tag from within.
    const json = JSON.stringify({ ...settings, hasSession }).replaceAll("<", "\\u003c");
    const head = `<head><base href="${settings.basePath}"><script type="application/json" id="settings">${json}</script>`;
    return page.replace("<head>", () => head);
  });
  return (req, res) => {
    // A browser that comes by a link of another site keeps the cookie to itself until the page asks.
    const mayHave = req.headers.cookie?.includes(SESSION_COOKIE) || req.headers["sec-fetch-site"] === "cross-site";
    const page = mayHave ? withSession : without;
    res.set("cache-control", "no-store").type("html").send(page);
  };
}
