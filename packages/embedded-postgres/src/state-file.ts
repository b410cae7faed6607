import { randomBytes } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DataUnusableError } from "./errors.ts";

/** What is kept beside the data directory from one start to the next. */
export interface ServerState {
  password: string;
  /** The port of the last start, or 0 where there was none. */
  port: number;
}

/** The role and the database that every embedded server has. */
export const ROLE = "penstock";

/** The connection string of a server of this state. */
export function toUrl(state: ServerState): string {
  return `postgres://${ROLE}:${state.password}@127.0.0.1:${state.port}/${ROLE}`;
}

/** A state with a new random password, not written yet. */
export function newState(): ServerState {
  // Hex, so that it needs no escaping, neither in a URL nor in SQL.
  return { password: randomBytes(24).toString("hex"), port: 0 };
}

/** Reads the state of a directory; null where there is none. Errors: DATA_UNUSABLE when it cannot be read or understood. */
export async function readState(dir: string): Promise<ServerState | null> {
  const file = stateFile(dir);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new DataUnusableError(
      `${file} cannot be read (${code}): it was written by another user. Run as that user, or remove ${dir} to start with an empty database.`,
      { cause: error },
    );
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null;
  }
  const { password, port } = (parsed ?? {}) as Partial<ServerState>;
  if (typeof password !== "string" || !/^[0-9a-f]{16,}$/.test(password) || !Number.isInteger(port)) {
    throw new DataUnusableError(
      `${file} is damaged. Remove it: the next start sets a new password and keeps the data.`,
    );
  }
  return { password, port: port as number };
}

/** Writes the state, readable by its owner only and never half. */
export async function writeState(dir: string, state: ServerState): Promise<void> {
  const temporary = `${stateFile(dir)}.${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(temporary, `${JSON.stringify(state)}\n`, { mode: 0o600, flag: "wx", flush: true });
    await rename(temporary, stateFile(dir));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function stateFile(dir: string): string {
  return join(dir, "postgres.json");
}
