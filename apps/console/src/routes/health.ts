import type { healthRoutes } from "@penstock/schemas/admin";
import type { Readiness } from "@penstock/telemetry";
import type { Handlers } from "../api/register-routes.ts";

const STATUS = { ready: "ok", degraded: "degraded", "not-ready": "unavailable", stopping: "unavailable" } as const;

export function createHealthHandlers(
  readiness: () => Promise<Readiness>,
  version: string,
): Handlers<typeof healthRoutes> {
  return {
    "GET /health": async () => {
      const { status, checks } = await readiness();
      return { status: STATUS[status], checks, version };
    },
  };
}
