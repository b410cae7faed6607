import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFileLock } from "@penstock/embedded-postgres";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";

/** In a clone of the repository; images and the package come with the page built. */
const BUILDER = fileURLToPath(new URL("../build-web.ts", import.meta.resolve("#console")));
const BUILD_MS = 120_000;

/** Has the console's page built where it is missing or older than its sources. @throws CliError with what the build said. */
export async function buildWeb(ctx: CliContext): Promise<void> {
  if (!existsSync(BUILDER)) return;
  // Two starts at once would build it twice.
  const file = join(dirname(BUILDER), "node_modules", ".build-web.lock");
  await withFileLock({ file, waitMs: BUILD_MS, busy: "another start builds the console's page" }, async () => {
    const { execPath, args } = ctx.node;
    const child = spawn(execPath, [...args, BUILDER], { env: { ...ctx.rawEnv }, stdio: ["ignore", "pipe", "pipe"] });
    const stop = (): void => void child.kill();
    ctx.stop.addEventListener("abort", stop);
    const said: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => said.push(chunk));
    const [code] = (await once(child, "close")) as [number | null];
    ctx.stop.removeEventListener("abort", stop);
    ctx.stop.throwIfAborted();
    if (code !== 0)
      throw new CliError(`The console's page could not be built:\n${Buffer.concat(said).toString().trim()}`);
  });
}
