import { createHash } from "node:crypto";
import { lstat, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { accountOf, findBarrier, isRoot, unprivilegedAccount, type Account } from "./account.ts";
import { SHARED_ROOT } from "./binaries.ts";
import { DataUnusableError } from "./errors.ts";

/** Where the data of a directory is, or will be, and who runs its server. */
export interface Placement {
  /** Free of symlinks, since the server is recognised by it. */
  dataDir: string;
  /** Whether there is data already. */
  exists: boolean;
  /** The symlink that shows the way when the data is not in the directory itself. */
  link: string | null;
  /** Whom root runs the server as; null when this process is not root. */
  account: Account | null;
}

/**
 * Decides where the data of `dir` lives: in `dir/postgres`, unless this is root and the account that it gives Postgres to
 * cannot pass a directory on the way (a clone under /root, a mktemp directory); then in /var/lib/penstock, with
 * `dir/postgres` as a symlink to it. Data that exists stays where it is and keeps its owner.
 *
 * Errors: DATA_UNUSABLE when data exists that cannot be used from here.
 */
export async function placeData(dir: string): Promise<Placement> {
  const home = join(await realpath(dir), "postgres");
  const found = await lstat(home).catch(() => null);
  if (found) return placeExisting(home, found.isSymbolicLink());
  if (!isRoot()) return { dataDir: home, exists: false, link: null, account: null };

  const account = unprivilegedAccount();
  if ((await findBarrier(home, account)) === null) return { dataDir: home, exists: false, link: null, account };
  const name = createHash("sha256").update(home).digest("hex").slice(0, 16);
  return { dataDir: join(SHARED_ROOT, name), exists: false, link: home, account };
}

async function placeExisting(home: string, isLink: boolean): Promise<Placement> {
  const dataDir = await realpath(home).catch(() => null);
  if (dataDir === null) {
    throw new DataUnusableError(
      `${home} points to data that is gone. Bring it back, or remove ${home} to start with an empty database.`,
    );
  }
  const { uid, gid } = await stat(dataDir);
  const link = isLink ? home : null;
  if (!isRoot()) {
    if (uid === process.getuid?.()) return { dataDir, exists: true, link, account: null };
    throw new DataUnusableError(
      `The data in ${dataDir} belongs to user ${uid}, and this is user ${process.getuid?.()}. Run as that user (or as root), or remove ${home} to start with an empty database.`,
    );
  }
  if (uid === 0) {
    throw new DataUnusableError(
      `The data in ${dataDir} belongs to root, as whom Postgres refuses to run. Give it to another user: chown -R ${unprivilegedAccount().uid} ${dataDir}`,
    );
  }
  const account = accountOf(uid, gid);
  const barrier = await findBarrier(dataDir, account);
  if (barrier === null) return { dataDir, exists: true, link, account };
  throw new DataUnusableError(
    `The data in ${dataDir} belongs to user ${uid}, who cannot pass ${barrier}. Run as that user, or let everybody pass: chmod o+x ${barrier}`,
  );
}
