import { assertSources, loadConfig } from "@penstock/engine";
import type { PenstockConfig } from "@penstock/handler-sdk";
import type { Sources } from "@penstock/sources";
import { readSources } from "@penstock/sources/load";
import type { CliContext } from "./cli-context.ts";
import { findProject } from "./project.ts";

/**
 * The handlers that are plugged in: PENSTOCK_CONFIG, else penstock.config.ts of the project.
 *
 * @throws LoadConfigError
 * @throws ConfigError when one subscribes to what none of the sources, where these are given, can send.
 */
export async function loadProjectConfig(ctx: CliContext, sources?: Sources): Promise<PenstockConfig> {
  const config = await loadConfig(ctx.env["PENSTOCK_CONFIG"] || null, findProject(ctx).root);
  if (sources !== undefined) assertSources(config.handlers, sources);
  return config;
}

/**
 * The sources of the project: PENSTOCK_SOURCES, else its penstock.sources.ts. Their `problems` are the caller's to tell.
 *
 * @throws LoadSourcesError
 */
export async function readProjectSources(ctx: CliContext): Promise<Sources> {
  return readSources(ctx.env["PENSTOCK_SOURCES"], findProject(ctx).root);
}
