import { listSourceActivity, readSilence, type SourceSilence } from "@penstock/store";
import { type Check, type Finding, ok, warn } from "../check.ts";
import { duration } from "../words.ts";

/** Whether each source sends what it usually sends, and whether what it sends is accepted. */
export const sources: Check = {
  part: "Sources",
  asksPostgres: true,
  async run({ store, sources: watched, penstock }) {
    if (watched.length === 0) {
      return [
        warn("sources", "the sources are not known here", "Ask where penstock.sources.ts is, or set PENSTOCK_SOURCES."),
      ];
    }
    const activity = new Map((await listSourceActivity(store)).map((one) => [one.source, one]));
    return (await readSilence(store.pool, watched)).map((silence) => {
      const refusedAt = activity.get(silence.source)?.lastRefusedAt ?? null;
      const isRefused = refusedAt !== null && (silence.lastEventAt === null || refusedAt > silence.lastEventAt);
      return judge(silence, isRefused, penstock);
    });
  },
};

function judge(silence: SourceSilence, isRefused: boolean, penstock: string): Finding {
  const { source, state, lastEventAt, now } = silence;
  const id = `sources.${source}`;
  const last =
    lastEventAt === null
      ? `${source} has sent nothing yet`
      : `the last event of ${source} came ${duration((now.getTime() - lastEventAt.getTime()) / 1_000)} ago`;
  if (isRefused) {
    return warn(
      id,
      `${last}, and what came since then was refused`,
      `\`${penstock} sources refused ${source}\` says why.`,
    );
  }
  if (state === "silent") {
    return warn(
      id,
      `${last}, which is unusual`,
      "Look at the provider's page whether it still delivers here, and at the way to ingest (docs/sources.md).",
    );
  }
  if (state === "unheard") {
    return warn(id, `no ingest listens to ${source} at this moment`, "Start ingest, or look into its log.");
  }
  return ok(id, last);
}
