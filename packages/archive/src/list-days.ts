import { DAYS, type Manifest, readManifest } from "./manifest.ts";
import type { ArchiveStorage } from "./storage.ts";

/** A day of which something lies in an archive. */
export interface ArchivedDay {
  readonly day: string;
  /** Null: it is not archived to the end. */
  readonly manifest: Manifest | null;
  /** Why the manifest cannot be read. */
  readonly problem: string | null;
}

/** The days of which something lies in an archive, the oldest first. */
export async function listArchivedDays(storage: ArchiveStorage): Promise<ArchivedDay[]> {
  const days = new Set<string>();
  for (const { name } of await storage.list(DAYS)) {
    const day = name.slice(DAYS.length).split("/")[0] ?? "";
    if (/^\d{4}-\d\d-\d\d$/.test(day)) days.add(day);
  }
  const listed: ArchivedDay[] = [];
  for (const day of [...days].toSorted()) {
    try {
      listed.push({ day, manifest: await readManifest(storage, day), problem: null });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ARCHIVE_DAMAGED") throw error;
      listed.push({ day, manifest: null, problem: (error as Error).message });
    }
  }
  return listed;
}
