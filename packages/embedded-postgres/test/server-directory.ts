import { removeEmbeddedPostgres } from "@penstock/embedded-postgres";
import { spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

/** A directory for one server, removed with the server when the test is over. */
export async function makeServerDirectory(mode = 0o755): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "penstock-embedded-"));
  await chmod(parent, mode);
  const dir = join(parent, ".penstock");
  onTestFinished(async () => {
    await removeEmbeddedPostgres(dir);
    await rm(parent, { recursive: true, force: true, maxRetries: 5 });
  });
  return dir;
}

/** What makes one database cluster this one and no other: Postgres draws it when the data is made. */
export async function readSystemIdentifier(dataDir: string): Promise<bigint> {
  return (await readFile(join(dataDir, "global", "pg_control"))).readBigUInt64LE(0);
}

interface Started {
  pid: number;
  port: number;
  adopted: boolean;
}

/** Starts the server of a directory from another Node process, which stays. */
export function startElsewhere(dir: string) {
  const file = new URL("./fixtures/start-and-stay.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, ["--conditions=@penstock/source", file, dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const started = new Promise<Started>((resolve) => {
    createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line) as Started));
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    started,
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
