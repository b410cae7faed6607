import { readServer } from "@penstock/store";
import { type Check, fail, type Finding, ok, warn } from "../check.ts";
import { duration } from "../words.ts";

const NOTED_MS = 2_000;
const WRONG_MS = 60_000;

/** This host's clock against those of Postgres and Redis. Nobody tells which is right. */
export const clocks: Check = {
  part: "Clocks",
  asksPostgres: true,
  async run({ store, queue }) {
    const findings = [judge("postgres", "Postgres", await readServer(store))];
    const redis = await queue?.inspect().catch(() => null);
    if (redis?.kind === "redis") findings.push(judge("redis", redis.name, redis));
    return findings;
  },
};

function judge(
  id: string,
  name: string,
  clock: { readonly clockAheadMs: number; readonly clockWithinMs: number },
): Finding {
  const ahead = clock.clockAheadMs;
  const apart = Math.max(0, Math.abs(ahead) - clock.clockWithinMs);
  if (apart < NOTED_MS) return ok(`clocks.${id}`, `the clock of ${name} agrees with this host's`);
  const says = `the clock of ${name} is ${duration(apart / 1_000)} ${ahead > 0 ? "ahead of" : "behind"} this host's`;
  const todo = "Look which one is wrong, and have NTP set it.";
  return apart < WRONG_MS
    ? warn(`clocks.${id}`, says, todo)
    : fail(`clocks.${id}`, `${says}: where this host's is wrong, signatures with a time are refused`, todo);
}
