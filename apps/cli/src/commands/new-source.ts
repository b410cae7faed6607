import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PROVIDERS } from "@penstock/schemas";
import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { plugInSource } from "../new/plug-in-source.ts";
import { sourceTemplate, sourceTestTemplate } from "../new/source-templates.ts";
import { findProject } from "../project.ts";

const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;

/** Providers whose sources @penstock/sources exports. */
const COMES_WITH: ReadonlySet<string> = new Set(PROVIDERS);

/** `penstock new source <name>`. */
export function registerNewSource(parent: Command, ctx: CliContext): void {
  parent
    .command("source")
    .argument("<name>", "the provider's name: lower-case letters, digits and hyphens")
    .summary("make a source of your own")
    .description(
      "Writes sources/<name>.ts, a source that verifies an HMAC and reads id, type and time, with a test that passes, and plugs it into penstock.sources.ts. For a provider that comes with Penstock, or that signs by HMAC and no more, no code is needed: see docs/sources.md.",
    )
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} new source acme`)
    .action((name: string) => newSource(ctx, name));
}

async function newSource(ctx: CliContext, name: string): Promise<void> {
  if (!NAME.test(name) || name.length > 63) {
    throw new UsageError("A name is lower-case letters, digits and hyphens, starts with a letter, 63 at most.");
  }
  const { root } = findProject(ctx);
  const folder = join(root, "sources");
  const file = join(folder, `${name}.ts`);
  if (await exists(file)) throw new CliError(`sources/${name}.ts is there already: remove it, or take another name.`);
  const config = join(root, "penstock.sources.ts");
  const before = await readFile(config, "utf8").catch((error: unknown) => {
    throw new CliError(`There is no penstock.sources.ts in ${root}: create it first, see docs/sources.md.`, {
      cause: error,
    });
  });
  const plugged = plugInSource(before, name);
  if (!plugged.ok && plugged.reason === "taken")
    throw new CliError(`penstock.sources.ts lists a source ${name} already: take another name.`);
  if (COMES_WITH.has(name)) {
    throw new UsageError(
      `Penstock has a source for ${name}: list it in penstock.sources.ts, as docs/sources.md shows. For one of your own take another name.`,
    );
  }

  await mkdir(folder, { recursive: true });
  await writeFile(file, sourceTemplate(name), { flag: "wx" });
  await writeFile(join(folder, `${name}.test.ts`), sourceTestTemplate(name));
  if (plugged.ok) await writeFile(config, plugged.text);

  const variable = `${name.toUpperCase().replaceAll("-", "_")}_SIGNING_SECRETS`;
  const done = [
    `wrote sources/${name}.ts         how ${name} signs and names its events`,
    `wrote sources/${name}.test.ts    its test, which passes`,
    !plugged.ok
      ? `penstock.sources.ts is not of a form that can be changed here: import the source there and list it yourself`
      : `changed penstock.sources.ts${" ".repeat(Math.max(1, name.length - 2))}it is listed there: POST /webhooks/${name}`,
  ];
  const next = [
    `change the header and the fields in sources/${name}.ts to those of ${name}'s documentation`,
    `npm test -- sources/${name}`,
    `${variable}=<the secret that ${name} shows> npm start`,
    `${ctx.penstock} sources url ${name}`,
  ];
  ctx.output.result([...done, "", "Next:", ...next.map((step) => `  ${step}`)].join("\n"));
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
