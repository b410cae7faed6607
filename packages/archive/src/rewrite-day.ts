import {
  type ArchivedEvent,
  type ArchivedPart,
  findArchive,
  listUnarchived,
  recordArchive,
  recordVerification,
  type Store,
} from "@penstock/store";
import { deleteOthers } from "./archive-day.ts";
import { ArchiveDamagedError } from "./event-file.ts";
import { folderOf, readManifest, toManifest, writeManifest } from "./manifest.ts";
import { readPart } from "./read-archived.ts";
import type { ArchiveStorage } from "./storage.ts";
import { verifyParts } from "./verify-day.ts";
import { PART_BYTES, writeParts } from "./write-parts.ts";

/** What became of an archived day. */
export interface Rewritten {
  /** How many events were changed or left out. */
  readonly changed: number;
  /** How many parts were written anew for it. */
  readonly parts: number;
}

/**
 * Takes each event of an archived day through `map`, and replaces the parts in which it changes something. `map` returns the event
 * itself where nothing is to change, another one in its place (with the same seq), or null to leave it out. `dryRun` only counts.
 *
 * New parts are written beside the old ones and read back; then the manifest names them; then the old ones are deleted. A crash
 * before the manifest leaves the day as it was, and the next call deletes what is left of the first. Null: the day is not archived;
 * what is written of it so far is discarded then, and a worker begins anew.
 * Call it under {@link withArchiveLock}, since a worker may be archiving.
 *
 * @throws ArchiveDamagedError when a part cannot be read, or a new one was not read back as written; the day is as it was then.
 */
export async function rewriteDay(
  store: Store,
  storage: ArchiveStorage,
  day: string,
  map: (event: ArchivedEvent) => ArchivedEvent | null,
  { now, dryRun = false }: { readonly now: Date; readonly dryRun?: boolean },
): Promise<Rewritten | null> {
  const manifest = await readManifest(storage, day);
  if (manifest === null) {
    if (!dryRun) await discardBegun(store, storage, day);
    return null;
  }
  const parts: ArchivedPart[] = [];
  let [changed, rewritten] = [0, 0];
  for (const part of manifest.parts) {
    const count = await countChanged(storage, day, part.name, map);
    changed += count;
    if (count === 0) {
      parts.push(part);
      continue;
    }
    rewritten++;
    if (dryRun) continue;
    const from = Number(/\d+/.exec(part.name)?.[0]);
    // One part in place of one, so that the numbers of the others stay.
    for await (const made of writeParts(storage, day, mapped(readPart(storage, day, part.name), map), {
      from,
      partBytes: 2 * PART_BYTES,
    })) {
      parts.push(made);
    }
  }
  if (dryRun) return { changed, parts: rewritten };
  const next = toManifest(day, parts, now);
  if (changed > 0) {
    const isNew = (part: ArchivedPart): boolean => !manifest.parts.some(({ name }) => name === part.name);
    const problems = await verifyParts(storage, { ...next, parts: parts.filter(isNew) });
    if (problems.length > 0)
      throw new ArchiveDamagedError(`the archive of ${day} stays as it was: ${problems.join("; ")}`);
    await writeManifest(storage, next);
    await recordArchive(store.pool, { day, url: storage.url, parts, written: true });
    await recordVerification(store.pool, day, null);
  }
  await deleteOthers(storage, next);
  return { changed, parts: rewritten };
}

async function countChanged(
  storage: ArchiveStorage,
  day: string,
  name: string,
  map: (event: ArchivedEvent) => ArchivedEvent | null,
): Promise<number> {
  let changed = 0;
  for await (const event of readPart(storage, day, name)) if (map(event) !== event) changed++;
  return changed;
}

async function* mapped(
  events: AsyncIterable<ArchivedEvent>,
  map: (event: ArchivedEvent) => ArchivedEvent | null,
): AsyncGenerator<ArchivedEvent> {
  for await (const event of events) {
    const made = map(event);
    if (made !== null) yield made;
  }
}

/**
 * What is written of a day that is not archived to the end holds what `map` would have changed: a worker begins anew. Parts of a day
 * that was archived, or is not stored here, may be all that is left of it.
 */
async function discardBegun(store: Store, storage: ArchiveStorage, day: string): Promise<void> {
  const begun = await storage.list(folderOf(day));
  if (begun.length === 0) return;
  const record = await findArchive(store.pool, day);
  const isArchivedAnew = (await listUnarchived(store, storage.url)).includes(day);
  if (!isArchivedAnew || (record !== null && record.writtenAt !== null)) {
    throw new ArchiveDamagedError(
      `the manifest of ${day} is missing beside its parts: bring it back from a backup of the archive`,
    );
  }
  await recordArchive(store.pool, { day, url: storage.url, parts: [], written: false });
  for (const { name } of begun) await storage.delete(name);
}
