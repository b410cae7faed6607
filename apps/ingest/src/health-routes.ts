import { type Readiness, toHttpStatus } from "@penstock/telemetry";
import type { Request, Response } from "express";

/** `GET /healthz`: the process lives. */
export function healthz(_req: Request, res: Response): void {
  send(res, 200, { status: "ok" });
}

/**
 * `GET /readyz`: 200 when events can be accepted, else 503; says what is not in order either way, and leaves the reasons,
 * in which hosts and ports stand, to the internal port. With the queue away events are still committed and acknowledged,
 * so a balancer must go on sending them: 200, `degraded`.
 */
export function createReadyz(readiness: () => Promise<Readiness>): (req: Request, res: Response) => Promise<void> {
  return async function readyz(_req, res) {
    const result = await readiness();
    const checks = Object.entries(result.checks).map(([name, state]) => [name, state === "ok" ? "ok" : "failed"]);
    send(res, toHttpStatus(result), { status: result.status, checks: Object.fromEntries(checks) as object });
  };
}

function send(res: Response, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  res.writeHead(status, {
    "content-type": "application/json",
    "content-length": bytes.length,
    "cache-control": "no-store",
  });
  res.end(bytes);
}
