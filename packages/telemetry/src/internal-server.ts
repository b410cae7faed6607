import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Readiness, toHttpStatus } from "./readiness.ts";
import type { Telemetry } from "./start-telemetry.ts";

/** Where a process serves what is for operators only. */
export interface InternalServerOptions {
  readonly host: string;
  readonly port: number;
  /** Whether any other port will do when this one is taken, as where nobody asked for it. */
  readonly orAnyPort: boolean;
  readonly telemetry: Telemetry;
  readonly readiness: () => Promise<Readiness>;
}

export interface InternalServer {
  readonly port: number;
  close(): void;
}

/**
 * Serves `/metrics` (Prometheus), `/healthz` (the process lives) and `/readyz` (what is not in order, in detail) on a port
 * of its own: what they tell is not for the world.
 *
 * @throws when the port is taken and no other will do.
 */
export async function startInternalServer(options: InternalServerOptions): Promise<InternalServer> {
  const { host, port, orAnyPort, telemetry, readiness } = options;
  const server = createServer((request, response) => {
    answer(request, response, telemetry, readiness).catch((error: unknown) => {
      telemetry.log.error({ err: error }, "an internal request failed");
      send(response, 500, { status: "failed" });
    });
  });
  try {
    await listen(server, host, port);
  } catch (error) {
    if (!orAnyPort || !(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    await listen(server, host, 0);
    telemetry.log.warn({ taken: port, port: portOf(server) }, "the internal port is taken, another one is used");
  }
  // It is no reason for a process to live on.
  server.unref();
  return {
    port: portOf(server),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { respondMetrics }: Telemetry,
  readiness: () => Promise<Readiness>,
): Promise<void> {
  const path = request.url?.split("?", 1)[0];
  if (request.method !== "GET") return send(response, 405, { error: "only GET" }, { allow: "GET" });
  if (path === "/healthz") return send(response, 200, { status: "ok" });
  if (path === "/readyz") {
    const result = await readiness();
    return send(response, toHttpStatus(result), result);
  }
  if (path !== "/metrics") return send(response, 404, { error: "there are /metrics, /healthz and /readyz" });
  if (respondMetrics === undefined) return send(response, 404, { error: "metrics are off: OTEL_SDK_DISABLED" });
  respondMetrics(request, response);
}

function send(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  if (response.headersSent) return;
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
  response.end(`${JSON.stringify(body)}\n`);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
