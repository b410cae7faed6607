import type { SourceSilence } from "@penstock/store";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, ReportedFailure } from "../cli-error.ts";
import { formatColumns } from "../output/columns.ts";
import { printable } from "../output/printable.ts";
import { describeSilence, toSilenceColumns } from "../output/source-silence.ts";
import { findIngestUrl } from "../send/target.ts";
import { findNamed, loadSources } from "../sources/find-named.ts";
import { readSavedRequest } from "../sources/saved-request.ts";
import { findSilence } from "../sources/read-silence.ts";
import { findLiveSecretsOf, findSecretsOf, type FoundSecrets } from "../sources/source-secrets.ts";
import { registerRefused } from "./sources-refused.ts";
import { registerSourceSecrets } from "./sources-secrets.ts";

export function registerSources(program: Command, ctx: CliContext): void {
  const sources = program
    .command("sources")
    .summary("who may send webhooks, and why one is refused")
    .description("Tells about the sources that penstock.sources.ts lists.");
  registerList(sources, ctx);
  registerUrl(sources, ctx);
  registerVerify(sources, ctx);
  registerRefused(sources, ctx);
  registerSourceSecrets(sources, ctx);
}

function registerList(sources: Command, ctx: CliContext): void {
  sources
    .command("list")
    .summary("list the sources")
    .description(
      "Lists the sources of penstock.sources.ts: their providers, their paths, how many secrets each has and in which variable, its verify tokens where it asks for some, and what is set for it. What is not set is as ingest has it. Where the database runs, it tells when each sent last, and which have gone silent: what to look at stands below the table.",
    )
    .option("--json", "print one JSON object per source")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} sources list`)
    .action(async ({ json }: { json?: true }) => {
      const { list } = await loadSources(ctx);
      const rows = await Promise.all(list.map((source) => findSecretsOf(ctx, source)));
      const silence = await findSilence(ctx, list);
      if (json) return rows.forEach((row) => ctx.output.json(toJson(row, silence.get(row.name))));
      const head = ["NAME", "PROVIDER", "PATH", "SECRETS", "MAX BODY", "RATE", "RETENTION", "LAST EVENT", "SENDS"];
      const cells = rows.map((row) => [...toColumns(row), ...toSilenceColumns(silence.get(row.name))]);
      ctx.output.result(formatColumns([head, ...cells]));
      for (const source of list) {
        const found = silence.get(source.name);
        const silent = found === undefined ? null : describeSilence(source, found);
        if (silent !== null) ctx.output.result(`\n${silent}`);
      }
    });
}

function toJson(
  { name, source, secretsFrom, secrets, origin, verifyTokensFrom, verifyTokens }: FoundSecrets,
  silence: SourceSilence | undefined,
): object {
  const { provider, maxBodyBytes, ratePerSecond, retentionDays } = source;
  const tokens = verifyTokensFrom !== null && { verifyTokensFrom, verifyTokens: verifyTokens.length };
  const heard = silence && { state: silence.state, lastEventAt: silence.lastEventAt, usual: silence.usual };
  const settings = { ...tokens, maxBodyBytes, ratePerSecond, retentionDays, silence: heard ?? null };
  return { name, provider, path: `/webhooks/${name}`, secretsFrom, secrets: secrets.length, origin, ...settings };
}

function toColumns(row: FoundSecrets): string[] {
  const { name, source, secretsFrom, secrets, origin, verifyTokensFrom, verifyTokens } = row;
  const { provider, maxBodyBytes, ratePerSecond, retentionDays } = source;
  const count = (of: readonly string[], variable: string, from: string | null): string =>
    of.length === 0 ? `none: set ${variable}` : `${of.length} (${from})`;
  const tokens = verifyTokensFrom && `, verify tokens: ${count(verifyTokens, verifyTokensFrom, verifyTokensFrom)}`;
  const found = `${count(secrets, secretsFrom, origin)}${tokens ?? ""}`;
  const rate = ratePerSecond === null ? "-" : ratePerSecond === 0 ? "no limit" : `${ratePerSecond}/s`;
  const body = maxBodyBytes === null ? "-" : `${maxBodyBytes} B`;
  return [name, provider, `/webhooks/${name}`, found, body, rate, retentionDays === null ? "-" : `${retentionDays} d`];
}

function registerUrl(sources: Command, ctx: CliContext): void {
  sources
    .command("url")
    .argument("<name>", "the source's name")
    .summary("print the URL to enter at the provider")
    .description(
      "Prints the URL of a source, and nothing else: below --base, INGEST_URL, the running `start`, or where ingest listens unless set.",
    )
    .addOption(new Option("--base <url>", "where the world reaches ingest, e.g. your tunnel").argParser(parseBase))
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} sources url acme --base https://hooks.example.com`)
    .action(async (name: string, { base }: { base?: string }) => {
      findNamed(await loadSources(ctx), name);
      ctx.output.result(`${base ?? (await findIngestUrl(ctx))}/webhooks/${name}`);
    });
}

interface VerifyOptions {
  readonly bodyFile?: string;
  readonly secret?: string[];
  readonly at?: Date;
  readonly json?: true;
}

function registerVerify(sources: Command, ctx: CliContext): void {
  sources
    .command("verify")
    .argument("<name>", "the source's name")
    .argument("<file>", "the saved request")
    .summary("say why a saved request is accepted or refused")
    .description(
      'Verifies a saved request as ingest would, and where it is refused looks for the reason: another secret, another encoding, a body that was changed or parsed and serialised again, a signed time that is too old, a header that is missing, another URL. Sends nothing and stores nothing. The file holds the request as it goes over the wire (request line, headers, empty line, exact body), or JSON: {"url", "headers", "body" or "bodyBase64"}.',
    )
    .option("--body-file <file>", "the body, where the file holds none")
    .option("--secret <secret...>", "try these; else those of the source")
    .addOption(
      new Option(
        "--at <time>",
        "when it was received, ISO 8601: what a signed time is judged by; now unless given",
      ).argParser(parseTime),
    )
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} sources verify acme request.http\n  ${ctx.penstock} sources verify acme request.http --at 2026-06-01T14:32:00Z\n\nExit code: 0 when it is accepted, else 1.`,
    )
    .action(async (name: string, file: string, { bodyFile, secret, at, json }: VerifyOptions) => {
      const all = await loadSources(ctx);
      const named = findNamed(all, name);
      const request = await readSavedRequest(ctx, file, bodyFile);
      const live = await findLiveSecretsOf(ctx, all.list);
      const found = secret === undefined ? live.find((one) => one.name === name) : { ...named, secrets: secret };
      if (found === undefined || found.secrets.length === 0) {
        throw new CliError(
          `There is no secret of ${name}, neither in ${named.secretsFrom} nor in the database: set one, or try one with --secret.`,
        );
      }
      const others = live.filter((other) => other.name !== name);
      // Loaded when needed: most commands do without.
      const { explainVerification } = await import("@penstock/sources/explain");
      const explanation = explainVerification(found, request, (at ?? new Date()).getTime(), others);
      if (json) ctx.output.json(explanation);
      else {
        const { ok, reason, findings } = explanation;
        const lines = findings.map((finding) => `  - ${printable(finding)}`);
        ctx.output.result([ok ? "accepted" : `refused: ${reason}`, ...lines].join("\n"));
      }
      if (!explanation.ok) throw new ReportedFailure("it would be refused");
    });
}

function parseBase(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return text.replace(/\/+$/, "");
  throw new InvalidArgumentError("It must be an http or https URL.");
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError("It must be a time in ISO 8601, e.g. 2026-06-01T14:32:00Z.");
}
