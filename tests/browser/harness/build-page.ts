import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const BUILDER = fileURLToPath(new URL("../../../apps/console/build-web.ts", import.meta.url));

/** Vitest's global setup: the console's page, built where it is older than its sources. */
export default async function setup(): Promise<void> {
  await promisify(execFile)(process.execPath, ["--conditions=@penstock/source", BUILDER]);
}
