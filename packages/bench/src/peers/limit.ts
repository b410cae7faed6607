// The limit: what a server in Express can do at all. It is the fastest that we know how to write, checks the signature
// and stores nothing. Penstock's ingest has the same frame around its work.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import express from "express";

const { PORT = "", SECRET = "" } = process.env;
const ACCEPTED = Buffer.from('{"status":"accepted"}');

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.post("/webhooks/:source", (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    const expected = createHmac("sha256", SECRET).update(body).digest();
    const given = Buffer.from(String(request.headers["x-buzzbip-signature"]), "hex");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      response.writeHead(401).end();
      return;
    }
    JSON.parse(body.toString());
    response.writeHead(200, { "content-type": "application/json", "content-length": ACCEPTED.length }).end(ACCEPTED);
  });
});

// Express sets the prototype of each request and response, which makes V8 give up on their shapes: made with the app's
// prototypes from the start, they are served 2.5 times as fast.
function withPrototype<Class extends typeof IncomingMessage | typeof ServerResponse>(base: Class, prototype: object) {
  function Adopted(...args: unknown[]): object {
    return Reflect.construct(base, args, Adopted) as object;
  }
  Adopted.prototype = prototype;
  return Adopted as unknown as Class;
}

createServer(
  {
    IncomingMessage: withPrototype(IncomingMessage, app.request),
    ServerResponse: withPrototype(ServerResponse, app.response),
  },
  app,
).listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
process.once("SIGTERM", () => process.exit());
