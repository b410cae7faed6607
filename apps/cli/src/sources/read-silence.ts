import { ConfigError } from "@penstock/schemas";
import type { NamedSource } from "@penstock/sources";
import { readSilence, type SourceSilence } from "@penstock/store";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { describeError } from "../describe-error.ts";

/**
 * Whether each source sends what it usually sends, by its name. Empty where no database is configured, which a project that is only
 * looked at need not have, or it does not answer, which is said.
 */
export async function findSilence(
  ctx: CliContext,
  sources: readonly NamedSource[],
): Promise<ReadonlyMap<string, SourceSilence>> {
  const watched = sources.map(({ name, source }) => ({ name, silentAfterMs: source.silentAfterMs }));
  try {
    const rows = await withStore(ctx, (store) => readSilence(store.pool, watched));
    return new Map(rows.map((row) => [row.source, row]));
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof CliError)) {
      ctx.output.say(`What sources have sent could not be read from the database. ${describeError(error)}`);
    }
    return new Map();
  }
}
