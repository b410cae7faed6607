import type { PenstockConfig } from "@penstock/handler-sdk";
import type { CliContext } from "./cli-context.ts";
import { findProject } from "./project.ts";

/** The handlers that are plugged in: PENSTOCK_CONFIG, else penstock.config.ts of the project. @throws LoadConfigError */
export async function loadProjectConfig(ctx: CliContext): Promise<PenstockConfig> {
  // Loaded when needed: it brings the engine with it, and most commands do without.
  const { loadConfig } = await import("@penstock/worker");
  return loadConfig(ctx.env["PENSTOCK_CONFIG"] || null, findProject(ctx).root);
}
