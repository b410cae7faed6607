import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";

/** A user by the numbers that the kernel knows it by. */
export interface Account {
  uid: number;
  gid: number;
}

/** Whether this process is root, as whom Postgres refuses to run. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The account that root gives Postgres to: `postgres` where it exists, else `nobody`. */
export function unprivilegedAccount(): Account {
  const accounts = passwd();
  const found = accounts.find(({ name }) => name === "postgres") ?? accounts.find(({ name }) => name === "nobody");
  return found ?? { uid: 65534, gid: 65534 };
}

/** The account of a user id, with its primary group where the user is known. */
export function accountOf(uid: number, fallbackGid: number): Account {
  return passwd().find((account) => account.uid === uid) ?? { uid, gid: fallbackGid };
}

function passwd(): (Account & { name: string })[] {
  let text = "";
  try {
    text = readFileSync("/etc/passwd", "utf8");
  } catch {
    // A minimal image may have none.
  }
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : [];
  });
}

/**
 * The first directory on the way to `path` (which is absolute and free of symlinks) that the account cannot pass, or null.
 *
 * Goes by the permission bits. Root's capabilities would not help: Postgres looks by access(2), which asks for the real
 * user.
 */
export async function findBarrier(path: string, account: Account): Promise<string | null> {
  const ancestors: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    ancestors.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const ancestor of ancestors) {
    if (!(await hasBit(ancestor, account, 0o1))) return ancestor;
  }
  return null;
}

/** Whether the account has this permission (4 read, 2 write, 1 execute) on the file or directory itself. */
export async function hasBit(path: string, account: Account, bit: 0o1 | 0o2 | 0o4): Promise<boolean> {
  const { mode, uid, gid } = await stat(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & bit) !== 0;
}
