import { archiveDay, openStorage } from "@penstock/archive";
import { type ArchiveConfig, wallClockMs } from "@penstock/schemas";
import { listUnarchived, withArchiveLock } from "@penstock/store";
import { loop, type Service, type ServiceContext } from "./service.ts";

const EVERY_MS = 600_000;

/** Archives days that are over, the oldest first. One worker at a time does; after a crash another one goes on behind the last part. */
export function keepArchive(context: ServiceContext, config: ArchiveConfig): Service {
  const { store, log, closing } = context;
  const { url } = config;
  log.info({ url }, "days are archived when they are over, and go only then");

  async function run(): Promise<void> {
    const due = await listUnarchived(store, url);
    if (due.length === 0) return;
    // Opened for the run: credentials that expire, and a folder that is mounted later, are found anew.
    const storage = await openStorage(config);
    try {
      await withArchiveLock(store, async () => {
        for (const day of await listUnarchived(store, url)) {
          if (closing.aborted) return;
          const began = performance.now();
          const done = await archiveDay(store, storage, day, { now: new Date(wallClockMs()), signal: closing });
          if (done === null) return;
          const { manifest, problems } = done;
          if (problems.length > 0) {
            log.error({ day, url, problems }, "the archive of a day is not as it was written: the day does not go");
            continue;
          }
          const seconds = Math.round((performance.now() - began) / 1_000);
          log.info(
            { day, url, events: manifest?.events, bytes: manifest?.bytes, seconds },
            "a day is archived and verified",
          );
        }
      });
    } finally {
      storage.close();
    }
  }

  return { done: loop(context, EVERY_MS, "archiving", run) };
}
