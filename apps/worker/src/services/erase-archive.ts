import { listArchivedDays, openStorage, rewriteDay } from "@penstock/archive";
import { type ArchiveConfig, wallClockMs } from "@penstock/schemas";
import {
  createArchiveEraser,
  type ErasureJob,
  listArchives,
  renewErasure,
  type Store,
  withArchiveLock,
} from "@penstock/store";

/** Has an erasure done in the archive. Resolves to how many events were erased there, or to what it waits for. */
export async function eraseFromArchive(
  store: Store,
  config: ArchiveConfig | null,
  job: ErasureJob,
): Promise<number | string> {
  if (config === null) {
    const [archive] = await listArchives(store.pool);
    return archive === undefined ? 0 : `a worker that has ARCHIVE_URL: days lie at ${archive.url}`;
  }
  const storage = await openStorage(config);
  try {
    const done = await withArchiveLock(store, async () => {
      const eraser = await createArchiveEraser(store, job);
      let changed = 0;
      for (const { day } of await listArchivedDays(storage)) {
        const now = new Date(wallClockMs());
        const rewritten = await rewriteDay(store, storage, day, (event) => eraser.map(event), { now });
        changed += rewritten?.changed ?? 0;
        await eraser.note(day);
        await renewErasure(store, job.id);
      }
      return changed;
    });
    return done ?? "a worker that writes the archive";
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message: string };
    if (code === "ARCHIVE_UNAVAILABLE" || code === "ARCHIVE_DAMAGED") return `the archive: ${message}`;
    throw error;
  } finally {
    storage.close();
  }
}
