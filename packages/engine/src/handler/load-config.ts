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
    throw new LoadConfigError(`${file} could not be loaded: ${describe(error, file)}`, { cause: error });
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

/** What was thrown, and in which file, unless the message is about a definition and names it. */
function describe(error: unknown, config: string): string {
  if (!(error instanceof Error)) return String(error);
  const [message = ""] = error.message.trim().split("\n");
  if ("code" in error && error.code === "HANDLER_DEFINITION") return message;
  const where = /(?:file:\/\/)?((?:[A-Za-z]:)?\/[^\s():]+):\d+/.exec(withoutModules(error.stack ?? ""));
  const place = where?.[1] === undefined || where[1] === config || message.includes(where[1]) ? "" : ` (${where[0]})`;
  return `${message || error.name}${place}`;
}

function withoutModules(stack: string): string {
  return stack
    .split("\n")
    .filter((line) => !line.includes("/node_modules/") && !line.includes("node:"))
    .join("\n");
}
