import { type Diagnosis, type Patient, runDoctor } from "@penstock/doctor";
import type { doctorRoutes, RouteResult } from "@penstock/schemas/admin";
import type { Handlers } from "../api/register-routes.ts";

type Answer = RouteResult<(typeof doctorRoutes)["GET /doctor"]>;

/** However many people ask, everything is looked at once in this time. */
const KEPT_MS = 5_000;

export function createDoctorHandlers(patient: Patient): Handlers<typeof doctorRoutes> {
  let kept: { readonly diagnosis: Promise<Diagnosis>; readonly at: number } | undefined;
  return {
    "GET /doctor": async (): Promise<Answer> => {
      if (kept === undefined || performance.now() - kept.at > KEPT_MS) {
        kept = { diagnosis: runDoctor(patient), at: performance.now() };
      }
      return kept.diagnosis;
    },
  };
}
