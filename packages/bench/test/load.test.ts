import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { LoadOrder, LoadReport } from "../src/load.ts";

test("connections that are open before there is a request for them are used before the server gives them up", async () => {
  // As ingest's, in less time.
  const limits = { headersTimeout: 1_000, requestTimeout: 1_000, connectionsCheckingInterval: 50 };
  const server = createServer(limits, (request, response) => {
    request.resume().on("end", () => response.writeHead(200, { "content-length": 2 }).end("ok"));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;

  const load = fork(join(import.meta.dirname, "../src/load.ts"), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  onTestFinished(() => void load.kill());
  const order: LoadOrder = {
    tag: "abcdef",
    payloadBytes: 350,
    contacts: 10,
    ports: [port],
    connections: 8,
    events: 40,
    seconds: 10,
    perSecond: 20,
  };
  load.send(order);
  await once(load, "message");
  load.send("go");
  const [report] = (await Promise.race([
    once(load, "message"),
    once(load, "exit").then(() => [{ sent: "it ended" }]),
  ])) as [LoadReport];
  expect(report).toMatchObject({ sent: 40, acknowledged: 40, refused: 0, timedOut: 0 });
});
