import { createHash } from "node:crypto";
import { ArchiveDamagedError, decompress } from "./event-file.ts";
import { folderOf, type Manifest, readManifest } from "./manifest.ts";
import type { ArchiveStorage } from "./storage.ts";

/** What came of reading an archived day back. */
export interface Verification {
  /** Null: there is none, or it cannot be read. */
  readonly manifest: Manifest | null;
  /** Whether there is a manifest. A day without one is not archived, which is no damage unless it was before. */
  readonly isArchived: boolean;
  /** What is wrong, each by the object that it is about; none: all bytes are as they were written. */
  readonly problems: readonly string[];
}

/** Reads an archived day back, all of it, and compares it with its manifest. */
export async function verifyDay(storage: ArchiveStorage, day: string): Promise<Verification> {
  let manifest: Manifest | null;
  try {
    manifest = await readManifest(storage, day);
  } catch (error) {
    if (!(error instanceof ArchiveDamagedError)) throw error;
    return { manifest: null, isArchived: true, problems: [error.message] };
  }
  if (manifest !== null) return { manifest, isArchived: true, problems: await verifyParts(storage, manifest) };
  return { manifest, isArchived: false, problems: [`there is no manifest of ${day}: the day is not archived`] };
}

/** What is wrong with the parts that a manifest names. */
export async function verifyParts(storage: ArchiveStorage, manifest: Manifest): Promise<string[]> {
  const problems: string[] = [];
  for (const part of manifest.parts) {
    const problem = await verifyPart(storage, manifest.day, part);
    if (problem !== null) problems.push(`${part.name} ${problem}`);
  }
  return problems;
}

async function verifyPart(
  storage: ArchiveStorage,
  day: string,
  { name, bytes, sha256, events }: Manifest["parts"][number],
): Promise<string | null> {
  const chunks = await storage.read(`${folderOf(day)}${name}`);
  if (chunks === null) return "is missing";
  const hash = createHash("sha256");
  let size = 0;
  const hashed = (async function* () {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  })();
  let lines = 0;
  let damage: string | null = null;
  try {
    for await (const chunk of decompress(hashed)) {
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++;
    }
  } catch (error) {
    if (!(error instanceof ArchiveDamagedError)) throw error;
    damage = error.message;
  }
  if (damage === null && size !== bytes) return `has ${size} bytes, and the manifest says ${bytes}`;
  const found = hash.digest("hex");
  if (damage === null && found !== sha256) return `has the SHA-256 ${found}, and the manifest says ${sha256}`;
  if (damage !== null) return `is damaged: ${damage}`;
  // The first line and the last are no events.
  return lines - 2 === events ? null : `has ${lines - 2} events, and the manifest says ${events}`;
}
