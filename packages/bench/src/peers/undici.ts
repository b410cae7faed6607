// What sending costs at all: undici with kept connections and one HMAC per request, nothing stored, nothing tried again.
import { createHmac } from "node:crypto";
import { Agent, request } from "undici";
import { eventBody, SECRET } from "../events.ts";

const [url = "", events = "", inFlight = "", series = ""] = process.argv.slice(2);
const dispatcher = new Agent({ connections: Number(inFlight), pipelining: 1 });
const of = JSON.parse(series) as Parameters<typeof eventBody>[0];
let next = 0;

async function sender(): Promise<void> {
  while (next < Number(events)) {
    const number = next++;
    const body = eventBody(of, number);
    const signature = createHmac("sha256", SECRET).update(body).digest("hex");
    const headers = {
      "content-type": "application/json",
      "x-buzzbip-signature": signature,
      "webhook-id": `${of.tag}_${number}`,
    };
    const { statusCode, body: answer } = await request(url, { method: "POST", headers, body, dispatcher });
    await answer.dump();
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
  }
}

console.log("ready");
await Promise.all(Array.from({ length: Number(inFlight) }, sender));
await dispatcher.close();
process.channel?.ref(); // until the run is over: it reads what this process has used
