import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type ArchiveStorage, ArchiveUnavailableError, type StoredObject } from "./storage.ts";

/** Archives in a folder of this machine, or of a network file system. */
export function openFileStorage(url: string): ArchiveStorage {
  const root = fileURLToPath(url);
  const pathOf = (name: string): string => join(root, ...name.split("/"));

  /** A network file system that is not mounted would be an empty folder that fills the machine's own disk. */
  async function assertRoot(): Promise<void> {
    const found = await stat(root).catch(toUnavailable);
    if (found?.isDirectory() !== true) {
      throw new ArchiveUnavailableError(
        `the folder ${root} of ARCHIVE_URL is not there: make it or mount it (it is never made by itself, since what is not mounted looks like an empty folder)`,
      );
    }
  }

  function toUnavailable(error: unknown): null {
    if (codeOf(error) === "ENOENT") return null;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ArchiveUnavailableError(`the archive in ${root} cannot be used: ${reason}`, { cause: error });
  }

  return {
    url,
    async put(name, bytes) {
      await assertRoot();
      const path = pathOf(name);
      const unfinished = `${path}.${randomBytes(4).toString("hex")}.unfinished`;
      try {
        await mkdir(dirname(path), { recursive: true });
        await writeThrough(unfinished, bytes);
        await rename(unfinished, path);
        await sync(dirname(path));
      } catch (error) {
        await rm(unfinished, { force: true }).catch(() => undefined);
        toUnavailable(error);
        throw error;
      }
    },
    async read(name) {
      await assertRoot();
      const file = await open(pathOf(name)).catch(toUnavailable);
      return file === null ? null : (file.createReadStream({ highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>);
    },
    async list(prefix) {
      await assertRoot();
      const folder = pathOf(prefix.slice(0, prefix.lastIndexOf("/") + 1));
      const entries = (await readdir(folder, { recursive: true, withFileTypes: true }).catch(toUnavailable)) ?? [];
      const objects: StoredObject[] = [];
      for (const entry of entries) {
        const path = join(entry.parentPath, entry.name);
        const name = relative(root, path).split(sep).join("/");
        if (!entry.isFile() || !name.startsWith(prefix)) continue;
        const found = await stat(path).catch(toUnavailable);
        if (found !== null) objects.push({ name, bytes: found.size });
      }
      return objects.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async delete(name) {
      await assertRoot();
      await rm(pathOf(name), { force: true }).catch(toUnavailable);
    },
    close: () => undefined,
  };
}

async function writeThrough(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is on disk once its folder is. Some file systems cannot do that for a folder, and need not. */
async function sync(folder: string): Promise<void> {
  const handle = await open(folder);
  await handle.sync().catch(() => undefined);
  await handle.close();
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;
