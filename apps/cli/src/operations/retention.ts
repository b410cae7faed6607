import {
  findGone,
  type GoneEvent,
  heldDays,
  planRetention,
  readPolicy,
  type RetentionPlan,
  type RetentionPolicy,
  type RetentionRun,
  runRetention,
  type Store,
} from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import type { Call } from "./answers.ts";

/** What a run has done, as it is told. */
export type RanRetention = Omit<RetentionRun, "plan" | "failed"> & {
  readonly failed: readonly { readonly day: string; readonly error: string }[];
  /** Days that are due and may not go yet. */
  readonly held: ReturnType<typeof heldDays>;
};

export interface RetentionOperations {
  /** What would go; as if RETENTION_DAYS were `days`, where given. */
  planRetention(days?: number): Promise<RetentionPlan>;
  /** Deletes what is due; `seen` are the days that the user was told of. */
  runRetention(seen: readonly string[]): Promise<RanRetention>;
  /** An event that was deleted; null: nobody knows of it. */
  findGone(idOrSeq: string): Promise<GoneEvent | null>;
}

export const retentionInStore = (store: Store, { actor, stop }: CliContext): RetentionOperations => ({
  async planRetention(days) {
    const policy = await findPolicy(store);
    return planRetention(store, { ...policy, days: days ?? policy.days });
  },
  async runRetention() {
    const run = await runRetention(store, await findPolicy(store), { by: { actor }, signal: stop });
    if (run === null) throw new CliError("A worker is deleting at this moment: look at the plan again in a minute.");
    const { plan, failed, ...went } = run;
    return { ...went, held: heldDays(plan), failed: failed.map(({ day, error }) => ({ day, error: error.message })) };
  },
  findGone: (idOrSeq) => findGone(store, idOrSeq),
});

export const retentionByApi = (call: Call): RetentionOperations => ({
  planRetention: (days) => call("GET /retention", { query: { ...(days !== undefined && { days }) } }),
  runRetention: (seen) => call("POST /retention/run", { body: { days: [...seen] } }),
  findGone: async (event) => (await call("GET /retention/gone", { query: { event } })).gone,
});

/** @throws CliError when no worker has told its terms yet. */
async function findPolicy(store: Store): Promise<RetentionPolicy> {
  const told = await readPolicy(store);
  if (told !== null) return told.policy;
  throw new CliError(
    "Nobody knows yet how long what is kept: workers tell it when they start. Start one, e.g. by `npm start`.",
  );
}
