import type { MaskedPath } from "@penstock/schemas";
import type { CliContext } from "../cli-context.ts";
import { readProjectSources } from "../project-config.ts";

/** Which fields each source calls sensitive. Where the sources cannot be read, all fields are: nobody can tell. */
export async function findSensitive(ctx: CliContext): Promise<(source: string) => readonly MaskedPath[]> {
  try {
    const { find } = await readProjectSources(ctx);
    return (source) => find(source)?.sensitive ?? [];
  } catch {
    return () => [[]];
  }
}
