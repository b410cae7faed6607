import {
  type ArchivedPart,
  covers,
  findArchive,
  readDay,
  readSpan,
  recordArchive,
  recordVerification,
  type Store,
} from "@penstock/store";
import { ArchiveDamagedError } from "./event-file.ts";
import { folderOf, type Manifest, manifestOf, readManifest, toManifest, writeManifest } from "./manifest.ts";
import type { ArchiveStorage } from "./storage.ts";
import { type Verification, verifyDay } from "./verify-day.ts";
import { writeParts } from "./write-parts.ts";

export interface ArchiveOptions {
  readonly signal?: AbortSignal;
  /** The time of day, for the manifest. */
  readonly now: Date;
  readonly partBytes?: number;
}

/**
 * Archives a day: parts, then the manifest, then all of it is read back. Each part is put on record, so that after a crash this goes
 * on behind the last one. A day that is archived at this address already, e.g. by the database that this one was restored from, is
 * only read back. Call it under {@link withArchiveLock}. Null: the signal was aborted in between.
 */
export async function archiveDay(
  store: Store,
  storage: ArchiveStorage,
  day: string,
  options: ArchiveOptions,
): Promise<Verification | null> {
  const { url } = storage;
  let damage: string | null = null;
  const found = await readManifest(storage, day).catch((error: unknown) => {
    if (!(error instanceof ArchiveDamagedError)) throw error;
    damage = error.message;
    return null;
  });
  if (found === null) {
    const problem = await findLoss(store, storage, day, damage);
    if (problem !== null) return { manifest: null, isArchived: damage !== null, problems: [problem] };
  } else {
    const [firstSeq, lastSeq] = [found.parts[0]?.firstSeq ?? null, found.parts.at(-1)?.lastSeq ?? null];
    const record = await findArchive(store.pool, day);
    const isWhole = covers({ events: found.events, firstSeq, lastSeq }, await readSpan(store.pool, day));
    const read = isWhole ? await verifyDay(storage, day) : null;
    if (read?.problems.length === 0) {
      await recordArchive(store.pool, { day, url, parts: found.parts, written: true });
      await recordVerification(store.pool, day, null);
      await deleteOthers(storage, found);
      return read;
    }
    // What has gone from the database is nowhere but there: it is for a person to look at.
    const isAllStored = (await readSpan(store.pool, day)).events >= found.events;
    if (!isAllStored) {
      const problem = read?.problems.join("; ") ?? "there is an archive of other events of this day";
      await recordArchive(store.pool, { day, url, parts: found.parts, written: true });
      await recordVerification(store.pool, day, problem);
      return { manifest: found, isArchived: true, problems: [problem] };
    }
    // Damaged, and all of it is here: it is written anew.
    if (record !== null) await recordArchive(store.pool, { day, url, parts: [], written: false });
    await storage.delete(manifestOf(day));
  }
  const manifest = await writeDay(store, storage, day, options);
  if (manifest === null) return null;
  const verified = await verifyDay(storage, day);
  await recordVerification(store.pool, day, verified.problems.length === 0 ? null : verified.problems.join("; "));
  return verified;
}

/**
 * Why a day whose manifest is damaged or missing is not written anew, put on record; null: it may be. What has gone from the database
 * is nowhere but in the parts that an earlier manifest named, and to write the day would delete them.
 */
async function findLoss(
  store: Store,
  storage: ArchiveStorage,
  day: string,
  damage: string | null,
): Promise<string | null> {
  const { url } = storage;
  const record = await findArchive(store.pool, day);
  if (record === null) {
    if (damage === null || (await storage.list(folderOf(day))).length < 2) return null;
    await recordArchive(store.pool, { day, url, parts: [], written: true });
  } else {
    const { events } = await readSpan(store.pool, day);
    if (record.writtenAt === null || events >= record.events) return null;
    if (record.url !== url) {
      return `${record.events} events are archived in ${record.url}, of which ${events} are still stored: copy its folder ${folderOf(day)} to ${url}`;
    }
  }
  const problem = damage ?? `the manifest of ${day} is missing, and not all of the day is stored any more`;
  await recordVerification(store.pool, day, problem);
  return problem;
}

async function writeDay(
  store: Store,
  storage: ArchiveStorage,
  day: string,
  { signal, now, partBytes }: ArchiveOptions,
): Promise<Manifest | null> {
  const { url } = storage;
  const record = await findArchive(store.pool, day);
  const parts = record?.url === url && record.writtenAt === null ? await stillThere(storage, day, record.parts) : [];
  const events = readDay(store.pool, day, parts.at(-1)?.lastSeq);
  const writing = writeParts(storage, day, events, {
    from: parts.length + 1,
    ...(partBytes !== undefined && { partBytes }),
  });
  for await (const part of writing) {
    parts.push(part);
    await recordArchive(store.pool, { day, url, parts, written: false });
    if (signal?.aborted) return null;
  }
  const manifest = toManifest(day, parts, now);
  await writeManifest(storage, manifest);
  await recordArchive(store.pool, { day, url, parts, written: true });
  await deleteOthers(storage, manifest);
  return manifest;
}

/** The parts on record that are stored as they were written, up to the first that is not. */
async function stillThere(
  storage: ArchiveStorage,
  day: string,
  parts: readonly ArchivedPart[],
): Promise<ArchivedPart[]> {
  const stored = new Map((await storage.list(folderOf(day))).map(({ name, bytes }) => [name, bytes]));
  const end = parts.findIndex(({ name, bytes }) => stored.get(`${folderOf(day)}${name}`) !== bytes);
  return parts.slice(0, end === -1 ? parts.length : end);
}

/** Deletes what lies in the folder of a day and is no part of it: what a crash has left, or what was written anew. */
export async function deleteOthers(storage: ArchiveStorage, { day, parts }: Manifest): Promise<void> {
  const folder = folderOf(day);
  const own = new Set([manifestOf(day), ...parts.map(({ name }) => `${folder}${name}`)]);
  for (const { name } of await storage.list(folder)) if (!own.has(name)) await storage.delete(name);
}
