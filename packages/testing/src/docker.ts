import { existsSync } from "node:fs";
import { request, type RequestOptions } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";

/** Whether a Docker daemon answers within a second; testcontainers alone would look for half a minute. */
export async function answersDocker(): Promise<boolean> {
  return callDocker("GET", "/_ping", 1_000).then(
    (status) => status === 200,
    () => false,
  );
}

/**
 * Whether TEST_CONTAINERS asks for all servers to come from Docker. Errors: says so when it does and no Docker answers;
 * testing something else instead would go unnoticed.
 */
export async function wantsContainers(): Promise<boolean> {
  if (!process.env["TEST_CONTAINERS"]) return false;
  if (await answersDocker()) return true;
  throw new Error("TEST_CONTAINERS is set, but no Docker answers. Start it, or unset the variable.");
}

/** Calls Docker's HTTP API and gives the status. Knows Unix sockets and tcp without TLS. */
export function callDocker(method: "GET" | "POST", path: string, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const target = dockerTarget();
    if (!target) return reject(new Error("No Docker socket."));
    const sent = request({ ...target, method, path, timeout: timeoutMs }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    sent.on("timeout", () => sent.destroy(new Error(`Docker did not answer ${path} within ${timeoutMs} ms.`)));
    sent.on("error", reject);
    sent.end();
  });
}

function dockerTarget(): RequestOptions | null {
  const host = process.env["DOCKER_HOST"];
  if (host?.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  if (host) {
    const { hostname, port } = new URL(host);
    return { hostname, port: port || "2375" };
  }
  const sockets = ["/var/run/docker.sock", join(homedir(), ".docker/run/docker.sock")];
  const socketPath = sockets.find((socket) => existsSync(socket));
  return socketPath ? { socketPath } : null;
}
