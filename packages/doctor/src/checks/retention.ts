import { planRetention, readPolicy } from "@penstock/store";
import { type Check, ok, warn } from "../check.ts";
import { bytes, plural } from "../words.ts";

/** Workers delete once an hour: what is due for longer than a day, nobody deletes. */
const GRACE_DAYS = 1;

export const retention: Check = {
  part: "Retention",
  asksPostgres: true,
  async run({ store, penstock }) {
    const told = await readPolicy(store);
    if (told === null) {
      return [
        warn(
          "retention.policy",
          "no worker has told its terms yet, so nothing is deleted",
          "Start a worker with this version.",
        ),
      ];
    }
    const { days, bytes: limit } = told.policy;
    const policy = ok(
      "retention.policy",
      `events are kept for ${plural(days, "day")}${limit === null ? "" : `, and ${bytes(limit)} at most`}`,
    );
    if (told.isNew) return [policy, ok("retention.behind", "the terms are new: workers begin within the hour")];
    const plan = await planRetention(store, told.policy);
    const today = plan.days.at(-1)?.day;
    const late = plan.days.filter(
      ({ action, why, dueOn }) =>
        (action === "drop" || action === "thin") &&
        (why === "bytes" || (today !== undefined && Date.parse(today) - Date.parse(dueOn) > GRACE_DAYS * 86_400_000)),
    );
    if (late.length === 0) return [policy, ok("retention.behind", "nothing is overdue")];
    return [
      policy,
      warn(
        "retention.behind",
        `${plural(late.length, "day")} should be deleted and ${late.length === 1 ? "is" : "are"} still there, ${bytes(plan.frees)} in all`,
        `Look whether a worker runs, and into its log; \`${penstock} retention plan\` shows them.`,
      ),
    ];
  },
};
