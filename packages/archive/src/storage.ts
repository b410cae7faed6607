/** An object as a storage lists it. */
export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
}

/** Where archives lie: a folder, or a bucket. Names have slashes, as in `days/2026-10-01/manifest.json`. */
export interface ArchiveStorage {
  /** As ARCHIVE_URL has it: it holds no credentials. */
  readonly url: string;
  /** Stores an object as a whole, in place of one with the same name: after a crash it is there or it is not. */
  put(name: string, bytes: Buffer): Promise<void>;
  /** The bytes of an object; null when there is none. */
  read(name: string): Promise<AsyncIterable<Buffer> | null>;
  /** All objects whose names begin with `prefix`, in the order of names. */
  list(prefix: string): Promise<StoredObject[]>;
  /** Deletes an object; none is no error. */
  delete(name: string): Promise<void>;
  close(): void;
}

/** Thrown when the storage does not answer, refuses, or is not there. The message says what to look at. */
export class ArchiveUnavailableError extends Error {
  readonly code = "ARCHIVE_UNAVAILABLE";
  override readonly name = "ArchiveUnavailableError";
}

/** All bytes of an object that is small. */
export async function readWhole(storage: ArchiveStorage, name: string): Promise<Buffer | null> {
  const chunks = await storage.read(name);
  if (chunks === null) return null;
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
