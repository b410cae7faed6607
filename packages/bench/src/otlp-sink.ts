// Stands in for a collector: counts what it is sent, and drops it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

let requests = 0;
let bytes = 0;
const server = createServer((request, response) => {
  requests++;
  request.on("data", (chunk: Buffer) => (bytes += chunk.length));
  request.on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
});
server.listen(0, "127.0.0.1", () => console.log("ready"));
process.on("message", () => process.send?.({ port: (server.address() as AddressInfo).port, requests, bytes }));
process.on("disconnect", () => process.exit());
