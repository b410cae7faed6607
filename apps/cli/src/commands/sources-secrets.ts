import { openSourceSecret, SealError, sealSourceSecret } from "@penstock/dispatch";
import { wallClockMs } from "@penstock/schemas";
import { listSourceSecrets, resealSourceSecret, SOURCE_SECRET_LIMIT, type SourceSecretRow } from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { withOperations } from "../operations/with-operations.ts";
import { findOutboundConfig, openKeyring } from "../outbound.ts";
import { formatColumns } from "../output/columns.ts";
import { formatAge } from "../output/duration.ts";
import { printable } from "../output/printable.ts";
import { OVERLAP_MS, parseOverlap } from "../overlap.ts";
import { addSecretOptions, readGivenSecret, type SecretOptions } from "../sources/given-secret.ts";

interface Json {
  readonly json?: true;
}

const IN_FORCE = "Ingest has it within 5 seconds, where it has the same master key.";

export function registerSourceSecrets(sources: Command, ctx: CliContext): void {
  const secrets = sources
    .command("secrets")
    .summary("the signing secrets of sources: add, rotate and remove them without a restart")
    .description(
      "Shows and changes the signing secrets of sources. Those that are added here are sealed with the master key and kept in the database, beside those in the environment of ingest.",
    );
  registerList(secrets, ctx);
  registerAdd(secrets, ctx);
  registerRotate(secrets, ctx);
  registerRemove(secrets, ctx);
  registerReveal(secrets, ctx);
  registerReseal(secrets, ctx);
}

function registerList(secrets: Command, ctx: CliContext): void {
  secrets
    .command("list")
    .argument("[name]", "the source's name; all of them without it")
    .summary("list secrets by their fingerprints: where they are, how old, when they were last used")
    .description(
      "Lists the secrets of sources by their fingerprints, which tell nothing of them: where each is, how old it is, when it last verified a request, and when it ends. Of one in the environment of ingest, the age is since an ingest first had it.",
    )
    .option("--json", "print one JSON object per secret")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} sources secrets list shop-eu`)
    .action(async (name: string | undefined, { json }: Json) => {
      const rows = await withOperations(ctx, async ({ assertSource, listSourceSecrets }) => {
        if (name !== undefined) await assertSource(name);
        return listSourceSecrets(name);
      });
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say("No secret is on record: ingest tells of its own once it runs.");
      const now = wallClockMs();
      const table = rows.map((row) => [
        printable(row.source),
        row.fingerprint,
        describePlace(row),
        `${formatAge(now - row.addedAt.getTime())} ago`,
        row.usedAt === null ? "never" : `${formatAge(now - row.usedAt.getTime())} ago`,
        describeEnd(row, now),
      ]);
      ctx.output.result(formatColumns([["SOURCE", "FINGERPRINT", "WHERE", "ADDED", "LAST USED", "ENDS"], ...table]));
    });
}

function describePlace({ kept, inEnvironment }: SourceSecretRow): string {
  return [...(kept ? ["database"] : []), ...(inEnvironment ? ["environment"] : [])].join(", ");
}

function describeEnd({ endsAt, ended }: SourceSecretRow, now: number): string {
  if (endsAt === null) return "-";
  return ended ? "has ended: take it out of the environment" : `in ${formatAge(endsAt.getTime() - now)}`;
}

function registerAdd(secrets: Command, ctx: CliContext): void {
  addSecretOptions(secrets.command("add").argument("<name>", "the source's name"))
    .summary("add a secret beside those that the source has")
    .description(
      `Adds a signing secret to a source, sealed, without a restart; those that it has count on. A source can have ${SOURCE_SECRET_LIMIT} in the database.`,
    )
    .option("--json", "print one JSON object: the fingerprint, and the secret where it was made")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} sources secrets add shop-eu --from secret.txt\n  printf %s "$SECRET" | ${ctx.penstock} sources secrets add shop-eu --from -`,
    )
    .action(async (name: string, options: SecretOptions & Json) => {
      tellAdded(ctx, name, await addSecret(ctx, name, options, null), options, IN_FORCE);
    });
}

function registerRotate(secrets: Command, ctx: CliContext): void {
  addSecretOptions(secrets.command("rotate").argument("<name>", "the source's name"))
    .addOption(
      new Option(
        "--overlap <time>",
        "how long the others count, too; 24h unless set, 0 for no longer at all",
      ).argParser(parseOverlap),
    )
    .summary("add a secret, and end all others of the source after a while")
    .description(
      "Adds a signing secret to a source and ends all others of it after a while, those in the environment of ingest included. Until then whatever either of them signed is accepted, so that the provider can change over at any moment.",
    )
    .option("--json", "print one JSON object: the fingerprint, and the secret where it was made")
    .addHelpText(
      "after",
      `\nExample:\n  ${ctx.penstock} sources secrets rotate shop-eu --from secret.txt --overlap 48h`,
    )
    .action(async (name: string, { overlap = OVERLAP_MS, ...options }: SecretOptions & { overlap?: number } & Json) => {
      const added = await addSecret(ctx, name, options, overlap);
      const others =
        overlap === 0 ? "The others count no longer." : `The others count for another ${formatAge(overlap)}.`;
      tellAdded(ctx, name, added, options, `${IN_FORCE} ${others}`);
    });
}

interface Added {
  readonly fingerprint: string;
  /** Where it was made. */
  readonly secret: string | null;
}

async function addSecret(
  ctx: CliContext,
  name: string,
  options: SecretOptions,
  endOthersInMs: number | null,
): Promise<Added> {
  const secret = await readGivenSecret(ctx, options);
  return withOperations(ctx, async ({ assertSource, addSourceSecret }) => {
    await assertSource(name);
    return addSourceSecret(name, { secret, endOthersInMs });
  });
}

function tellAdded(ctx: CliContext, name: string, { fingerprint, secret }: Added, { json }: Json, next: string): void {
  if (json) return ctx.output.json({ source: name, fingerprint, ...(secret !== null && { secret }) });
  const shown = secret === null ? [] : [`secret  ${secret}`];
  ctx.output.result([`added ${fingerprint} to ${name}`, ...shown, "", next].join("\n"));
}

function registerRemove(secrets: Command, ctx: CliContext): void {
  secrets
    .command("remove")
    .argument("<name>", "the source's name")
    .argument("<fingerprint>", "which, as `list` has it")
    .summary("refuse from now on what is signed with a secret")
    .description(
      "Removes a secret: what is signed with it is refused within 5 seconds. One in the environment of ingest is refused, too, and can be taken out of there at the next occasion.",
    )
    .option("--yes", "also the last one that counts: then all that the source sends is refused")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} sources secrets remove shop-eu 1f2e3d4c --yes`)
    .action(async (name: string, fingerprint: string, { yes }: { yes?: true }) => {
      await withOperations(ctx, async ({ assertSource, listSourceSecrets, removeSourceSecret }) => {
        await assertSource(name);
        const rows = await listSourceSecrets(name);
        const others = rows.filter((row) => row.fingerprint !== fingerprint && !row.ended);
        if (others.length === 0 && !yes) {
          throw new UsageError(
            `${name} has no other secret that counts: all that it sends would be refused. Add another one first, or add --yes.`,
          );
        }
        const isRemoved = await removeSourceSecret({ source: name, fingerprint });
        if (!isRemoved) throw new CliError(noSecret(ctx, name, fingerprint));
      });
      ctx.output.result(`removed ${fingerprint} from ${name}: what is signed with it is refused within 5 seconds`);
    });
}

function registerReveal(secrets: Command, ctx: CliContext): void {
  secrets
    .command("reveal")
    .argument("<name>", "the source's name")
    .argument("<fingerprint>", "which, as `list` has it")
    .summary("print a secret of the database; the audit log tells that you did")
    .description("Prints a secret that is kept in the database, and puts on record who was shown it.")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} sources secrets reveal shop-eu 1f2e3d4c`)
    .action(async (name: string, fingerprint: string) => {
      const key = { source: name, fingerprint };
      const secret = await withOperations(ctx, ({ revealSourceSecret }) => revealSourceSecret(key));
      if (secret === null) throw new CliError(noSecret(ctx, name, fingerprint));
      ctx.output.result(secret);
    });
}

function registerReseal(secrets: Command, ctx: CliContext): void {
  secrets
    .command("reseal")
    .summary("seal all secrets of sources with the first master key")
    .description(
      "Seals the secrets of sources with the master key that stands first, so that those after it can go, once `endpoints reseal` has run, too.",
    )
    .addHelpText("after", `\nExample:\n  PENSTOCK_MASTER_KEY="$NEW,$OLD" ${ctx.penstock} sources secrets reseal`)
    .action(async () => {
      const keyring = openKeyring(await findOutboundConfig(ctx));
      const lost: string[] = [];
      const sealed = await withStore(ctx, async (store) => {
        const rows = (await listSourceSecrets(store)).filter(({ kept }) => kept);
        for (const { source, fingerprint } of rows) {
          const reseal = (text: string): string =>
            sealSourceSecret(keyring, source, openSourceSecret(keyring, { source, fingerprint, sealed: text })).sealed;
          try {
            await resealSourceSecret(store, { source, fingerprint }, reseal, ctx.actor);
          } catch (error) {
            if (!(error instanceof SealError)) throw error;
            lost.push(`${source} ${fingerprint}: ${error.message}`);
          }
        }
        return rows.length - lost.length;
      });
      const said = `${sealed === 1 ? "1 secret is" : `${sealed} secrets are`} sealed with the master key ${keyring.keyId}`;
      if (lost.length > 0) throw new CliError(`${said}, these are not:\n${lost.join("\n")}`);
      ctx.output.result(said);
    });
}

const noSecret = (ctx: CliContext, name: string, fingerprint: string): string =>
  `${printable(name)} has no secret ${printable(fingerprint)} in the database: see \`${ctx.penstock} sources secrets list ${printable(name)}\`.`;
