import type { ArchivedEvent } from "@penstock/store";
import { ArchiveDamagedError, openLines, readEvents } from "./event-file.ts";
import { folderOf, type Manifest } from "./manifest.ts";
import type { ArchiveStorage } from "./storage.ts";

/** The events of an archived day, in the order of their seqs. @throws ArchiveDamagedError by the part that is damaged */
export async function* readArchived(storage: ArchiveStorage, { day, parts }: Manifest): AsyncGenerator<ArchivedEvent> {
  for (const { name } of parts) yield* readPart(storage, day, name);
}

/** The events of one part of an archived day. */
export async function* readPart(storage: ArchiveStorage, day: string, name: string): AsyncGenerator<ArchivedEvent> {
  const chunks = await storage.read(`${folderOf(day)}${name}`);
  if (chunks === null) throw new ArchiveDamagedError(`${name} of ${day} is missing`);
  try {
    yield* readEvents(await openLines(chunks));
  } catch (error) {
    if (!(error instanceof ArchiveDamagedError)) throw error;
    throw new ArchiveDamagedError(`${name} of ${day} is damaged: ${error.message}`, { cause: error });
  }
}
