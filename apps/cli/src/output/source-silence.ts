import type { NamedSource } from "@penstock/sources";
import type { SourceSilence } from "@penstock/store";
import { formatAge } from "./duration.ts";

/** When a source sent last, and whether it should have sent since: two cells of a table. */
export function toSilenceColumns(silence: SourceSilence | undefined): [lastEvent: string, sends: string] {
  if (silence === undefined) return ["-", "-"];
  const { state, lastEventAt, learnsUntil, now } = silence;
  const last = lastEventAt === null ? "never" : `${formatAge(now.getTime() - lastEventAt.getTime())} ago`;
  const sends = {
    sends: "yes",
    silent: "SILENT",
    learning: `learns until ${learnsUntil?.toISOString().slice(0, 10) ?? "-"}`,
    new: "not yet",
    unheard: "ingest is away",
    unwatched: "not watched",
  }[state];
  return [last, sends];
}

/** What is wrong with a source that is silent, and where to look; null: nothing is. */
export function describeSilence(
  { name, source }: NamedSource,
  { state, lastEventAt, usual, now }: SourceSilence,
): string | null {
  if (state !== "silent" || lastEventAt === null) return null;
  const since = `${name} is silent: it has sent nothing for ${formatAge(now.getTime() - lastEventAt.getTime())}`;
  const than =
    typeof source.silentAfterMs === "number"
      ? `, and its silentAfter is ${formatAge(source.silentAfterMs)}`
      : usual !== null && usual > 0
        ? `, and at least ${usual} requests in the same hours of other weeks`
        : "";
  return `${since}${than}. ${source.whenSilent ?? "See at the provider whether its webhook is still on and has this URL."}`;
}
