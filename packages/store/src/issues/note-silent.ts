import type { Store } from "../connection/create-store.ts";
import { forgetSourceHours, readSilence, type SourceSilence, type WatchedSource } from "../sources/source-silence.ts";
import { alone } from "./alone.ts";
import { fingerprint } from "./fingerprint.ts";
import { noteOccurrences } from "./note-occurrences.ts";

/**
 * Makes an issue of each source that has gone silent, once until it sends again, and returns how each does. One worker at a time
 * notes; where another is at it, this one only looks.
 */
export async function noteSilentSources(store: Store, watched: readonly WatchedSource[]): Promise<SourceSilence[]> {
  const noted = await alone(store, async (client) => {
    const sources = await readSilence(client, watched);
    const silent = sources.filter(({ state, isNoted }) => state === "silent" && !isNoted);
    await noteOccurrences(
      client,
      silent.map(({ source, now }) => ({
        ...fingerprint("silent-source", source, titleOf(watched.find(({ name }) => name === source))),
        at: now,
        example: null,
      })),
    );
    await forgetSourceHours(client);
    return sources;
  });
  return noted ?? readSilence(store.pool, watched);
}

/** Says what it was judged by: the weeks before, or its settings. */
function titleOf({ silentAfterMs }: Pick<WatchedSource, "silentAfterMs"> = { silentAfterMs: null }): string {
  if (typeof silentAfterMs !== "number") return "it has sent nothing for longer than usual";
  const minutes = Math.round(silentAfterMs / 60_000);
  const [size, unit] = (
    [
      [1_440, "d"],
      [60, "h"],
    ] as const
  ).find(([length]) => minutes % length === 0) ?? [1, "min"];
  return `it has sent nothing for longer than its silentAfter of ${minutes / size} ${unit}`;
}
