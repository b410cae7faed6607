import type { ArchiveConfig } from "@penstock/schemas";
import { openFileStorage } from "./file-storage.ts";
import { openS3Storage } from "./s3-storage.ts";
import type { ArchiveStorage } from "./storage.ts";

/** Opens the storage that ARCHIVE_URL names. Nothing is asked of it yet. */
export async function openStorage(config: ArchiveConfig): Promise<ArchiveStorage> {
  return config.url.startsWith("file:") ? openFileStorage(config.url) : openS3Storage(config);
}
