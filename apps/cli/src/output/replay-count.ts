import { type NewReplay, REPLAY_COUNT_LIMIT, type ReplayCount } from "@penstock/store";
import { formatAge } from "./duration.ts";
import { printable } from "./printable.ts";

/**
 * How many a replay would run, whose they are and how old, and what that means for handlers that act outside of Postgres.
 *
 * @example
 * describeReplayCount(count, {}, now); // "12 deliveries match: inbox 8, notify 4. The oldest event came 200 d ago."
 */
export function describeReplayCount(
  count: ReplayCount | null,
  { among, again }: Pick<NewReplay, "among" | "again">,
  now: Date,
): string {
  if (count === null) return "How many match takes too long to tell.";
  const { total, handlers, quarantined, oldest } = count;
  const all = total === REPLAY_COUNT_LIMIT ? `${total} or more` : String(total);
  const what = quarantined > 0 ? ["event in quarantine", "events in quarantine"] : ["delivery", "deliveries"];
  const by = handlers.map(({ name, count: of }) => `${printable(name)} ${of}`).join(", ");
  const head = `${all} ${total === 1 ? `${what[0]} matches` : `${what[1]} match`}${by === "" ? "" : `: ${by}`}.`;
  const age = oldest === null ? "" : ` The oldest event came ${formatAge(now.getTime() - oldest.getTime())} ago.`;
  const effects = handlers.filter(({ kind }) => kind === "effect").map(({ name }) => printable(name));
  if (effects.length === 0) return head + age;
  const meaning =
    among === "missing"
      ? "acts outside of Postgres (sends, calls) for each of them, however old"
      : again
        ? "does all that it did outside of Postgres anew"
        : "runs again, and does again what it did not record by ctx.once";
  return `${head}${age} ${effects.join(", ")}: an effect handler, which ${meaning}.`;
}
