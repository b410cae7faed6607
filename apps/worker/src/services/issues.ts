import { advanceIssues, resolveSettledIssues } from "@penstock/store";
import { loop, type Service, type ServiceContext } from "./service.ts";

const SORT_EVERY_MS = 2_000;
const SETTLE_EVERY_MS = 20_000;
const LOOK_AT_ALL_EVERY_MS = 600_000;

/** Finds what needs a person: sorts what has failed into issues, and resolves those of which nothing is left. One worker at a time does. */
export function keepIssues(context: ServiceContext): Service {
  const { store, log } = context;
  const loops = [
    loop(context, SORT_EVERY_MS, "sorting failures into issues", () => advanceIssues(store)),
    loop(context, LOOK_AT_ALL_EVERY_MS, "sorting late failures into issues", () => advanceIssues(store, { all: true })),
    loop(context, SETTLE_EVERY_MS, "settling issues", async () => {
      const resolved = await resolveSettledIssues(store);
      if (resolved > 0) log.info({ resolved }, "issues of which nothing is left were resolved");
    }),
  ];
  return { done: Promise.all(loops) };
}
