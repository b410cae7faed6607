import { z } from "zod";
import { defineRoutes } from "./contract.ts";

export const healthRoutes = defineRoutes({
  "GET /health": {
    summary: "Whether the console can do its work",
    role: "viewer",
    response: z.object({
      status: z.enum(["ok", "degraded", "unavailable"]),
      checks: z.record(z.string(), z.string()),
      version: z.string(),
    }),
  },
});
