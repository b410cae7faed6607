import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { defineConfig, type PenstockConfig } from "@penstock/handler-sdk";

const CONFIG_FILE = "penstock.config.ts";

/** Thrown when penstock.config.ts is missing, does not load or does not export a configuration; says which file. */
export class LoadConfigError extends Error {
  readonly code = "LOAD_CONFIG";
  override readonly name = "LoadConfigError";
}

/**
 * Loads the handlers: from `path`, or from the nearest penstock.config.ts (or .js, once built) in `from` and the folders
 * above it.
 *
 * @throws LoadConfigError
 */
export async function loadConfig(path: string | null, from: string): Promise<PenstockConfig> {
  const file = path === null ? findConfig(from) : resolve(from, path);
  if (file === null) {
    throw new LoadConfigError(
      `no ${CONFIG_FILE} in ${from} or above it: create one, or set PENSTOCK_CONFIG to its path`,
    );
  }
  if (!existsSync(file)) throw new LoadConfigError(`${file} does not exist: check PENSTOCK_CONFIG`);
  let loaded: { default?: unknown };
  try {
    loaded = (await import(pathToFileURL(file).href)) as { default?: unknown };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new LoadConfigError(`${file} could not be loaded: ${message}`, { cause: error });
  }
  const config = loaded.default;
  if (typeof config !== "object" || config === null || !("handlers" in config) || !Array.isArray(config.handlers)) {
    throw new LoadConfigError(`${file} must export defineConfig({ handlers: [...] }) as its default`);
  }
  return defineConfig(config as PenstockConfig);
}

function findConfig(from: string): string | null {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    for (const name of [CONFIG_FILE, CONFIG_FILE.replace(/ts$/, "js")]) {
      const file = join(folder, name);
      if (existsSync(file)) return file;
    }
    if (folder === dirname(folder)) return null;
  }
}
