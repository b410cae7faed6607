import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { removeEmbeddedPostgres } from "@penstock/embedded-postgres";
import { eventually } from "@penstock/testing";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A copy of the workspace, as a clone is: what is in the repository, and nothing that was installed or built. */
export interface WorkspaceCopy {
  readonly folder: string;
  /** Runs `npm <args>` in it, as a user does: how it ended, and all that it printed. */
  npm(...args: string[]): Promise<{ code: number; printed: string }>;
  /** The same of what has to succeed: what it printed. */
  succeeds(...args: string[]): Promise<string>;
  /** `npm start`, once it is ready; returns how to stop it. */
  start(): Promise<() => Promise<void>>;
  remove(): Promise<void>;
}

export async function copyWorkspace(): Promise<WorkspaceCopy> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-workspace-"));
  await chmod(folder, 0o755); // as root, Postgres runs as another user inside it
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root });
  for (const file of listed.toString().trim().split("\n")) {
    // What was removed and not committed is listed, too.
    if (existsSync(join(root, file))) await cp(join(root, file), join(folder, file));
  }
  const { NODE_OPTIONS: _, VITEST: __, ...inherited } = process.env;
  const env = { ...inherited, NO_COLOR: "1", INGEST_PORT: "0", CONSOLE_PORT: "0" };

  const npm: WorkspaceCopy["npm"] = async (...args) => {
    try {
      const options = { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 };
      const { stdout, stderr } = await promisify(execFile)("npm", args, options);
      return { code: 0, printed: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, printed: stdout + stderr };
    }
  };
  return {
    folder,
    npm,
    async succeeds(...args) {
      const { code, printed } = await npm(...args);
      if (code !== 0) throw new Error(`npm ${args.join(" ")} ended with ${code}:\n${printed}`);
      return printed;
    },
    async start() {
      const child = spawn("npm", ["start"], { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
      const exited = once(child, "exit");
      let printed = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (text: Buffer) => (printed += text.toString()));
      const stop = async (): Promise<void> => {
        if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, "SIGINT");
        await exited;
      };
      const ready = (): void => {
        if (!printed.includes("Ctrl-C")) throw new Error(`npm start is not ready:\n${printed}`);
      };
      await eventually(ready, { timeoutMs: 120_000 }).catch(async (error: unknown) => {
        await stop();
        throw error;
      });
      return stop;
    },
    async remove() {
      await removeEmbeddedPostgres(join(folder, ".penstock"));
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
