import { type Command, Option } from "commander";
import { readSecretFiles } from "@penstock/schemas";
import type { NamedSource, Reconciliation } from "@penstock/sources";
import type { CliContext } from "../cli-context.ts";
import { CliError, ReportedFailure } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { moment } from "../filter-options.ts";
import { formatColumns } from "../output/columns.ts";
import { printable } from "../output/printable.ts";
import { createAskProvider } from "../reconcile/ask-provider.ts";
import { type FetchOutcome, fetchMissed } from "../reconcile/fetch-missed.ts";
import { findMissedEvents, type MissedEvents } from "../reconcile/find-missed.ts";
import { findNamed, loadSources } from "../sources/find-named.ts";

interface ReconcileOptions {
  readonly since: Date;
  readonly type?: string[];
  readonly yes?: true;
  readonly json?: true;
}

const SHOWN = 100;

export function registerReconcile(program: Command, ctx: CliContext): void {
  program
    .command("reconcile")
    .argument("<source>", "the source's name")
    .summary("find what a provider has sent and never came, and fetch it")
    .description(
      "Asks a provider's API which events it has sent since a time, and tells which of them never came here. With --yes, fetches these and stores them as if they had come, without a signature: the API vouches for them. What came after all meanwhile is a copy, and reaches no handler. The API key stands in a variable of the source's name, e.g. SHOP_EU_API_KEY, or in the file that SHOP_EU_API_KEY_FILE names.",
    )
    .addOption(
      new Option("--since <time>", "only what was sent since: a time, or how long ago, e.g. 24h")
        .argParser(moment)
        .makeOptionMandatory(),
    )
    .option("--type <type...>", "only of these types, e.g. acme.order.paid; a * at the end stands for any ending")
    .option("--yes", "fetch what was missed, and have it handled")
    .option("--json", "print one JSON object per event that was missed, then a summary")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} reconcile shop-eu --since 24h\n  ${ctx.penstock} reconcile shop-eu --since 2026-06-01T14:00:00Z --type acme.order.* --yes\n\nExit code: 0 when nothing was missed or all of it was fetched, 1 when some could not be fetched.`,
    )
    .action(async (name: string, { since, type: types = [], yes, json }: ReconcileOptions) => {
      const sources = await loadSources(ctx);
      const named = findNamed(sources, name);
      const reconciliation = assertReconcilable(named, sources.list);
      const { apiKeyFrom, apiKey } = findApiKey(ctx, named, reconciliation);
      const ask = createAskProvider({
        apiKeyFrom,
        apiKey,
        needs: reconciliation.apiKey,
        headers: reconciliation.headers(apiKey),
        say: (text) => ctx.output.say(text),
      });
      await withStore(ctx, async (store) => {
        const found = await findMissedEvents(store, named, reconciliation.list(ask, since), types);
        const { listed, missed } = found;
        if (json) missed.forEach(({ id, type, createdAt }) => ctx.output.json({ id, type, createdAt }));
        else if (listed > 0 || found.brokenOff === null) ctx.output.result(formatMissed(named, found, since));
        const { fetched, failed } = yes ? await fetchMissed(ctx, store, named, missed) : NOTHING;
        if (json) ctx.output.json({ listed, missed: missed.length, fetched });
        else if (yes && missed.length > 0) {
          ctx.output.result(`fetched ${fetched} of ${missed.length}: workers handle them now`);
        } else if (missed.length > 0) ctx.output.say("Nothing was fetched yet: --yes fetches them.");
        for (const { id, why } of failed) ctx.output.say(`${printable(id)} could not be fetched: ${why}`);
        if (found.brokenOff !== null) throw describe(found.brokenOff, listed);
        if (failed.length > 0) throw new ReportedFailure("some could not be fetched");
      });
    });
}

const NOTHING: FetchOutcome = { fetched: 0, failed: [] };

/** Why the list of what was sent broke off. */
function describe(error: Error, listed: number): Error {
  const reason = error instanceof TypeError ? `${error.message}.` : error.message;
  const sofar = listed === 0 ? "What was sent could not be listed" : `The list broke off after ${listed} events`;
  return new CliError(`${sofar}: ${reason}`, { cause: error });
}

function assertReconcilable({ name, source }: NamedSource, list: readonly NamedSource[]): Reconciliation {
  if (source.reconcile === null) {
    const able = list.filter((other) => other.source.reconcile !== null).map((other) => other.name);
    const others = able.length === 0 ? "" : ` These can: ${able.join(", ")}.`;
    throw new CliError(
      `${name} cannot be reconciled: nothing is known here of an API of its provider that lists what it has sent.${others}`,
    );
  }
  const { missing } = source.reconcile;
  if (missing !== null) throw new CliError(`${name} cannot be reconciled yet. ${missing}`);
  return source.reconcile;
}

function findApiKey(ctx: CliContext, { name, apiKeyFrom }: NamedSource, { apiKey: needs }: Reconciliation) {
  const variable = apiKeyFrom ?? "";
  const { environment, problems } = readSecretFiles(ctx.env, [variable]);
  for (const problem of problems.values()) throw new CliError(problem);
  const apiKey = environment[variable]?.trim() ?? "";
  if (apiKey === "") throw new CliError(`The API key of ${name} is not set: set ${variable} to ${needs}.`);
  return { apiKeyFrom: variable, apiKey };
}

function formatMissed({ name }: NamedSource, { listed, missed, brokenOff }: MissedEvents, since: Date): string {
  const sent = `${name} has sent ${listed} events since ${since.toISOString()}${brokenOff === null ? "" : ", as far as was listed"}`;
  if (missed.length === 0) return `${sent}; none of them is missing.`;
  const rows = missed
    .slice(0, SHOWN)
    .map(({ id, type, createdAt }) => [createdAt?.toISOString() ?? "-", printable(type), printable(id)]);
  const more = missed.length > SHOWN ? `\nand ${missed.length - SHOWN} more` : "";
  return `${formatColumns([["SENT", "TYPE", "ID"], ...rows])}${more}\n\n${sent}; ${missed.length} of them never came.`;
}
