import { readArchived, readManifest } from "@penstock/archive";
import { type ArchivedEvent, type Restored, restoreEvents, type Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { noArchive } from "../commands/archive.ts";
import type { FilterOptions } from "../filter-options.ts";
import { withArchive } from "./find-archive.ts";

/** Which events of an archived day: what is left out matches all. */
export interface ArchiveFilter extends Pick<FilterOptions, "source" | "type" | "subject" | "since" | "until"> {
  /** An event by its id or its seq. */
  readonly event?: string;
}

/** The events of an archived day that are asked for: how many, and the first. */
export interface FoundInArchive {
  readonly events: number;
  readonly first: ArchivedEvent | null;
}

/** Reads an archived day, and counts what is asked for. @throws CliError when the day is not archived. */
export async function countInArchive(
  ctx: CliContext,
  store: Store,
  day: string,
  filter: ArchiveFilter,
): Promise<FoundInArchive> {
  let [events, first]: [number, ArchivedEvent | null] = [0, null];
  await withMatching(ctx, store, day, filter, async (matching) => {
    for await (const event of matching) {
      events++;
      first ??= event;
    }
  });
  return { events, first };
}

/** Brings back what is asked for of an archived day. @throws CliError while retention runs, or an erasure. */
export async function restoreFromArchive(
  ctx: CliContext,
  store: Store,
  day: string,
  filter: ArchiveFilter,
): Promise<Restored> {
  const { since, until, ...named } = filter;
  const detail = { ...named, ...(since && { since }), ...(until && { until }) };
  const restored = await withMatching(ctx, store, day, filter, (matching, url) =>
    restoreEvents(store, { day, url, actor: ctx.actor }, matching, detail),
  );
  if (restored === "retention-runs") {
    throw new CliError("A worker is deleting what is old at this moment: try again in a minute.");
  }
  if (restored === "erasure-runs") {
    throw new CliError(
      `Somebody is being erased, and may be in the archive still: try again once that is done. ${ctx.penstock} erase status shows what it waits for.`,
    );
  }
  return restored;
}

async function withMatching<T>(
  ctx: CliContext,
  store: Store,
  day: string,
  filter: ArchiveFilter,
  work: (matching: AsyncIterable<ArchivedEvent>, url: string) => Promise<T>,
): Promise<T> {
  return withArchive(
    ctx,
    async (storage) => {
      const manifest = await readManifest(storage, day);
      if (manifest === null) throw new CliError(noArchive(ctx, day, storage.url));
      const matching = (async function* () {
        for await (const event of readArchived(storage, manifest)) if (matches(event, filter)) yield event;
      })();
      return work(matching, storage.url);
    },
    store,
  );
}

function matches(
  { source: ofSource, type: ofType, subjects, receivedUs, id, seq }: ArchivedEvent,
  { source, type, subject, since, until, event }: ArchiveFilter,
): boolean {
  if (source !== undefined && ofSource !== source) return false;
  if (type !== undefined && ofType !== type) return false;
  if (subject !== undefined && !subjects.includes(subject)) return false;
  if (since !== undefined && receivedUs < since.getTime() * 1_000) return false;
  if (until !== undefined && receivedUs >= until.getTime() * 1_000) return false;
  return event === undefined || event === id || event === String(seq) || event === `seq:${seq}`;
}
