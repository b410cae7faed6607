import { wallClockMs } from "@penstock/schemas";
import { listHandlers, listLanes, readBacklog } from "@penstock/store";
import { type Check, fail, type Finding, ok, warn } from "../check.ts";
import { duration, plural, some } from "../words.ts";

const SLOW_SECONDS = 30;
const STUCK_SECONDS = 300;
/** Workers mark their handlers as seen every 20 s. */
const SEEN_MS = 90_000;
const MOST_LANES = 50;

/** Workers, and what waits for them. */
export const work: Check = {
  part: "Work",
  asksPostgres: true,
  async run({ store, penstock }) {
    const [{ pendingEvents, oldestPendingSeconds, deliveries }, handlers, lanes] = await Promise.all([
      readBacklog(store),
      listHandlers(store),
      listLanes(store, { state: "blocked" }, MOST_LANES),
    ]);
    const findings: Finding[] = [];
    const seen = handlers.filter(({ seenAt }) => wallClockMs() - seenAt.getTime() < SEEN_MS);
    if (handlers.length > 0 && seen.length === 0) {
      findings.push(
        fail(
          "work.workers",
          "no worker runs: events are accepted, and wait",
          "Start one, and look into the log of the last one.",
        ),
      );
    } else if (seen.length < handlers.length) {
      const idle = handlers.filter((handler) => !seen.includes(handler)).map(({ name }) => name);
      findings.push(
        warn(
          "work.workers",
          `no worker has the handler ${some(idle)}: its deliveries wait`,
          `Start a worker with it, or \`${penstock} handlers remove ${idle[0]}\`.`,
        ),
      );
    } else {
      findings.push(
        handlers.length === 0
          ? warn("work.workers", "no worker has ever run here", "Start one.")
          : ok("work.workers", `workers run ${plural(seen.length, "handler")}`),
      );
    }
    const waits = `${plural(pendingEvents, "event")} ${pendingEvents === 1 ? "waits" : "wait"}, the oldest for ${duration(oldestPendingSeconds)}`;
    if (pendingEvents === 0) findings.push(ok("work.backlog", "nothing waits to be processed"));
    else if (oldestPendingSeconds < SLOW_SECONDS) findings.push(ok("work.backlog", waits));
    else {
      const judge = oldestPendingSeconds < STUCK_SECONDS ? warn : fail;
      findings.push(
        judge(
          "work.backlog",
          `${waits}: workers do not keep up, or do not run`,
          "Look into the log of the workers; add workers (docs/scale.md).",
        ),
      );
    }
    const dead = deliveries.filter(({ state }) => state === "dead");
    findings.push(
      dead.length === 0
        ? ok("work.dead", "no dead letter")
        : warn(
            "work.dead",
            `dead letters: ${some(dead.map(({ subscriber, count }) => `${count} of ${subscriber}`))}`,
            `\`${penstock} issues list\` groups them by cause; mend it, then \`${penstock} issues retry\`.`,
          ),
    );
    findings.push(
      lanes.length === 0
        ? ok("work.lanes", "no lane is blocked")
        : warn(
            "work.lanes",
            `${lanes.length === MOST_LANES ? "50 or more lanes are" : plural(lanes.length, "lane is", "lanes are")} blocked by a dead letter: ${some(lanes.map(({ handler, lane }) => `${handler}/${lane}`))}`,
            `\`${penstock} lanes list --state blocked\`, then retry or skip the dead letter.`,
          ),
    );
    return findings;
  },
};
