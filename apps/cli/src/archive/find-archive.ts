import { type ArchiveStorage, openStorage } from "@penstock/archive";
import { type ArchiveConfig, parseArchiveConfig } from "@penstock/schemas";
import { readPolicy, type Store } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { withStore } from "../database.ts";

/**
 * Where days are archived: what ARCHIVE_URL of this command says, else what the workers told.
 *
 * @throws CliError when archiving is off.
 */
export async function findArchiveConfig(ctx: CliContext, store?: Store): Promise<ArchiveConfig> {
  const given = parseArchiveConfig(ctx.env);
  if (given !== null) return given;
  const told = store === undefined ? await withStore(ctx, readPolicy) : await readPolicy(store);
  if (told?.policy.archive !== undefined) return told.policy.archive;
  throw new CliError(
    "Archiving is off: no worker has an ARCHIVE_URL. Set it for workers, and for this command where it is to read another archive, e.g. ARCHIVE_URL=file:///mnt/archive or s3://bucket/prefix (docs/archive.md).",
  );
}

/** Opens the archive for the time of `work`. */
export async function withArchive<T>(
  ctx: CliContext,
  work: (storage: ArchiveStorage) => Promise<T>,
  store?: Store,
): Promise<T> {
  const storage = await openStorage(await findArchiveConfig(ctx, store));
  try {
    return await work(storage);
  } finally {
    storage.close();
  }
}
