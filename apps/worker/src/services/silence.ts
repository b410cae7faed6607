import type { Sources } from "@penstock/sources";
import { noteSilentSources, type SourceSilence } from "@penstock/store";
import { instruments } from "@penstock/telemetry";
import { loop, type Service, type ServiceContext } from "./service.ts";

const LOOK_EVERY_MS = 30_000;
/** An older reading is not reported. */
const STALE_MS = 3 * LOOK_EVERY_MS;

/** Looks twice a minute whether sources send what they usually send, for issues and for metrics. One worker at a time makes issues. */
export function watchSilence(context: ServiceContext, { list }: Pick<Sources, "list">): Service {
  const { store, log } = context;
  const watched = list.map(({ name, source }) => ({ name, silentAfterMs: source.silentAfterMs }));
  const advice = new Map(list.map(({ name, source }) => [name, source.whenSilent]));
  let last: { readonly sources: readonly SourceSilence[]; readonly at: number } | undefined;
  const current = (): readonly SourceSilence[] =>
    last !== undefined && performance.now() - last.at < STALE_MS ? last.sources : [];

  instruments.sourceSilent().addCallback((result) => {
    for (const { source, state } of current()) result.observe(state === "silent" ? 1 : 0, { source });
  });
  instruments.sourceQuiet().addCallback((result) => {
    for (const { source, lastEventAt, now } of current()) {
      if (lastEventAt !== null) result.observe((now.getTime() - lastEventAt.getTime()) / 1_000, { source });
    }
  });

  const done = loop(context, LOOK_EVERY_MS, "looking for silent sources", async () => {
    const sources = await noteSilentSources(store, watched);
    for (const { source, state, isNoted, lastEventAt, usual } of sources) {
      if (state !== "silent" || isNoted) continue;
      log.warn(
        { source, lastEventAt, usual, advice: advice.get(source) },
        "a source has gone silent: it has sent nothing for longer than usual",
      );
    }
    last = { sources, at: performance.now() };
  });
  return { done };
}
