import type { retentionRoutes } from "@penstock/schemas/admin";
import {
  findGone,
  heldDays,
  planRetention,
  readPolicy,
  runRetention,
  type Store,
  summariseArchives,
  type ToldPolicy,
} from "@penstock/store";
import { Problem } from "../api/problem.ts";
import type { Handlers } from "../api/register-routes.ts";

/** `closing`: a run ends after the day that it is at. */
export function createRetentionHandlers(store: Store, closing: AbortSignal): Handlers<typeof retentionRoutes> {
  return {
    "GET /retention": async ({ query: { days } }) => {
      const { policy, toldAt, toldBy, isNew } = await findPolicy(store);
      const plan = await planRetention(store, { ...policy, days: days ?? policy.days });
      return { ...plan, toldAt: toldAt.toISOString(), toldBy, isNew };
    },
    "GET /retention/archive": async () => {
      const archive = (await readPolicy(store))?.policy.archive;
      if (archive === undefined) return { archive: null };
      const { waiting, damaged, ...summary } = await summariseArchives(store, archive.url);
      return { archive: { ...summary, waiting: [...waiting], damaged: [...damaged] } };
    },
    "GET /retention/gone": async ({ query: { event } }) => ({ gone: await findGone(store, event) }),
    "POST /retention/run": async ({ body }, { principal }) => {
      const { policy } = await findPolicy(store);
      const { days } = await planRetention(store, policy);
      const others = days.filter(({ day, action }) => action !== "keep" && !body.days.includes(day));
      if (others.length > 0) {
        throw new Problem(409, "More is due by now than you have seen", {
          detail: `Look at the plan again: ${others.map(({ day }) => day).join(", ")}.`,
        });
      }
      const run = await runRetention(store, policy, { by: { actor: principal.actor }, signal: closing });
      if (run === null) {
        throw new Problem(409, "A worker is deleting at this moment", {
          detail: "Look at the plan again in a minute.",
        });
      }
      return {
        freed: run.freed,
        days: [...run.days],
        failed: run.failed.map(({ day, error }) => ({ day, error: error.message })),
        held: heldDays(run.plan).map(({ day, holds }) => ({ day, holds: [...holds] })),
        rest: [...run.rest],
      };
    },
  };
}

async function findPolicy(store: Store): Promise<ToldPolicy> {
  const told = await readPolicy(store);
  if (told !== null) return told;
  throw new Problem(409, "Nobody knows yet how long what is kept", {
    detail: "Workers tell it when they start: start one.",
  });
}
