import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";

/** Where a project is on disk. */
export interface Project {
  /** The folder of penstock.config.ts. */
  readonly root: string;
  /** The folder of all that belongs to this machine alone: data, logs, the signing secret. */
  readonly home: string;
}

/** The configuration as JavaScript stands in an image. */
const MARKS = ["penstock.config.ts", "penstock.config.js", "pnpm-workspace.yaml"];

/**
 * Finds the project: the nearest folder, from the working directory upwards, with a penstock.config.ts or a
 * pnpm-workspace.yaml. Its home is `.penstock` in it unless PENSTOCK_HOME names another folder.
 *
 * @throws CliError when there is no such folder, and PENSTOCK_HOME is not set either.
 */
export function findProject({ cwd, env }: Pick<CliContext, "cwd" | "env">): Project {
  const home = env["PENSTOCK_HOME"];
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (MARKS.some((mark) => existsSync(join(folder, mark)))) {
      return { root: folder, home: home ? resolve(cwd, home) : join(folder, ".penstock") };
    }
    if (folder !== dirname(folder)) continue;
    if (home) return { root: resolve(cwd), home: resolve(cwd, home) };
    throw new CliError(`There is no penstock.config.ts in ${resolve(cwd)} or above it: run this inside the project.`);
  }
}
