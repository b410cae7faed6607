import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ConfigError } from "@penstock/schemas";
import type { Sources } from "./define-sources.ts";

const SOURCES_FILE = "penstock.sources.ts";

/** Thrown when penstock.sources.ts is missing, does not load or does not export sources; says which file. */
export class LoadSourcesError extends Error {
  readonly code = "LOAD_SOURCES";
  override readonly name = "LoadSourcesError";
}

/**
 * Loads the sources: from `path` where it is given, else from the nearest penstock.sources.ts (or .js, once built) in
 * `from` and the folders above it.
 *
 * @throws LoadSourcesError
 * @throws ConfigError with all that is wrong with all of them.
 */
export async function loadSources(path: string | null | undefined, from: string): Promise<Sources> {
  const sources = await readSources(path, from);
  if (sources.problems.length > 0) throw new ConfigError(sources.problems);
  return sources;
}

/** The same, but `problems` are left to the caller, which has more of them to tell. @throws LoadSourcesError */
export async function readSources(path: string | null | undefined, from: string): Promise<Sources> {
  const file = path ? resolve(from, path) : findFile(from);
  if (file === null) {
    throw new LoadSourcesError(
      `no ${SOURCES_FILE} in ${from} or above it: create one that exports defineSources({ … }), or set PENSTOCK_SOURCES to its path`,
    );
  }
  if (!existsSync(file)) throw new LoadSourcesError(`${file} does not exist: check PENSTOCK_SOURCES`);
  let loaded: { default?: unknown };
  try {
    loaded = (await import(pathToFileURL(file).href)) as { default?: unknown };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new LoadSourcesError(`${file} could not be loaded: ${message}`, { cause: error });
  }
  const sources = loaded.default;
  if (typeof sources !== "object" || sources === null || !("list" in sources) || !("problems" in sources)) {
    throw new LoadSourcesError(`${file} must export defineSources({ … }) as its default`);
  }
  return sources as Sources;
}

function findFile(from: string): string | null {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    for (const name of [SOURCES_FILE, SOURCES_FILE.replace(/ts$/, "js")]) {
      const file = join(folder, name);
      if (existsSync(file)) return file;
    }
    if (folder === dirname(folder)) return null;
  }
}
