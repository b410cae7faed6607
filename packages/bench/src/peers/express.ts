// A webhook route as the manual of Express has it, for every peer that one puts a queue behind.
import { createHmac, timingSafeEqual } from "node:crypto";
import express from "express";
import type { Event } from "./effect.ts";

const { PORT = "", SECRET = "" } = process.env;

/** Takes webhooks in: checks the signature, and answers with 200 once `add` has put the event into a queue. */
export function serveWebhooks(add: (event: Event & { readonly type: string }) => Promise<unknown>): void {
  const app = express();
  app.post("/webhooks/buzzbip", express.raw({ type: "application/json" }), async (request, response) => {
    const body = request.body as Buffer;
    const expected = createHmac("sha256", SECRET).update(body).digest();
    const given = Buffer.from(request.get("X-BuzzBip-Signature") ?? "", "hex");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      response.status(401).end();
      return;
    }
    await add(JSON.parse(body.toString()) as Event & { type: string });
    response.status(200).json({ status: "accepted" });
  });
  app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
  process.once("SIGTERM", () => process.exit());
}
