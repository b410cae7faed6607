import { ConfigError } from "@penstock/schemas";
import type { NamedSource, Sources } from "@penstock/sources";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { printable } from "../output/printable.ts";
import { readProjectSources } from "../project-config.ts";

/** The sources of the project. @throws ConfigError with all that is wrong with them. */
export async function loadSources(ctx: CliContext): Promise<Sources> {
  const sources = await readProjectSources(ctx);
  if (sources.problems.length > 0) throw new ConfigError(sources.problems);
  return sources;
}

/** The source of this name. @throws CliError when there is none. */
export function findNamed({ list }: Sources, name: string): NamedSource {
  const found = list.find((source) => source.name === name);
  if (found !== undefined) return found;
  throw noSource(
    name,
    list.map((source) => source.name),
  );
}

export const noSource = (name: string, known: readonly string[]): CliError =>
  new CliError(`There is no source ${printable(name)} in penstock.sources.ts, only ${known.join(", ")}.`);
