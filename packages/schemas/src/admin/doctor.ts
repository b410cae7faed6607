import { z } from "zod";
import { defineRoutes } from "./contract.ts";

const level = z.enum(["ok", "warn", "fail"]);

export const doctorRoutes = defineRoutes({
  "GET /doctor": {
    summary: "What is wrong with what Penstock rests on, what it means, and what to do",
    role: "operator",
    response: z.object({
      /** The worst that was found. */
      level,
      parts: z.array(
        z.object({
          part: z.string(),
          findings: z.array(
            z.object({
              /** The same in every version, e.g. `postgres.fsync`. */
              id: z.string(),
              level,
              says: z.string(),
              /** What to do; null when all is well. */
              todo: z.string().nullable(),
            }),
          ),
        }),
      ),
      /** The variables of the process that was asked. Never a secret. */
      settings: z.array(
        z.object({
          name: z.string(),
          value: z.string().nullable(),
          from: z.enum(["environment", "file", "provided", "default"]),
          problem: z.string().nullable(),
        }),
      ),
    }),
  },
});
