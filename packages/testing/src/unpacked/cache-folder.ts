import { withFileLock } from "@penstock/embedded-postgres";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A program that was unpacked into the cache folder, and the environment that it needs. */
export interface UnpackedProgram {
  file: string;
  env: Record<string, string>;
}

/** A program, or why there is none. */
export type UnpackOutcome = { ok: true; program: UnpackedProgram } | { ok: false; reason: string };

/** What is to be unpacked. */
export interface Unpacking {
  /** The folder's name in the cache; with it the system and architecture that it is for. */
  readonly name: string;
  /** The program in an unpacked folder, whether it runs here or not; null where there is none. */
  locate(folder: string): Promise<UnpackedProgram | null>;
  /** Fills `work/root`; gives what went wrong, or null. */
  download(work: string): Promise<string | null>;
}

/** Fills a folder of the cache unless it is there and its program runs. Safe to call from several processes. */
export async function unpackOnce({ name, locate, download }: Unpacking): Promise<UnpackOutcome> {
  const cache = await makeCacheFolder();
  const folder = join(cache, name);
  const find = async (): Promise<UnpackedProgram | null> => {
    const program = await locate(folder);
    return program && (await answersVersion(program)) ? program : null;
  };
  const ready = await find();
  if (ready) return { ok: true, program: ready };
  const busy = `Another process has been unpacking ${name} into ${cache} for 10 minutes.`;
  return withFileLock({ file: join(cache, `${name}.lock`), waitMs: 600_000, busy }, async () => {
    const meanwhile = await find();
    if (meanwhile) return { ok: true, program: meanwhile };
    const work = await mkdtemp(join(cache, "part-"));
    try {
      const problem = await download(work);
      if (problem) return { ok: false, reason: problem };
      await rm(folder, { recursive: true, force: true });
      // Whole or not at all: what is there under the final name can be trusted.
      await rename(join(work, "root"), folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    const program = await find();
    return program ? { ok: true, program } : { ok: false, reason: `what was unpacked into ${folder} does not run` };
  });
}

/** True when a program starts: a cache that several machines share may lack a library that was installed where it was made. */
export function answersVersion({ file, env }: UnpackedProgram): Promise<boolean> {
  return run(file, ["--version"], { env: { ...process.env, ...env }, timeout: 60_000 }).then(
    () => true,
    () => false,
  );
}

async function makeCacheFolder(): Promise<string> {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const folder = join(base, "penstock");
  try {
    await mkdir(folder, { recursive: true });
    return folder;
  } catch {
    // A user without a home, like nobody.
    const own = join(tmpdir(), `penstock-cache-${process.getuid?.() ?? "user"}`);
    await mkdir(own, { recursive: true, mode: 0o700 });
    return own;
  }
}

/** What a program that failed said last. */
export function lastLine(error: unknown): string {
  const { stderr, message } = error as Error & { stderr?: string };
  return (stderr || message).trim().split("\n").at(-1) ?? message;
}
