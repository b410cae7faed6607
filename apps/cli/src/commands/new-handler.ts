import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { defineHandler } from "@penstock/handler-sdk";
import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { describeError } from "../describe-error.ts";
import {
  type HandlerForm,
  handlerTemplate,
  handlerTestTemplate,
  MIGRATION,
  packageTemplate,
  readmeTemplate,
  toHandlerIdentifier,
  TSCONFIG,
} from "../new/handler-templates.ts";
import { plugInHandler } from "../new/plug-in-handler.ts";
import { addDependency, addReference, changeJson, installWorkspace, runProgram } from "../new/workspace.ts";
import { findProject } from "../project.ts";

/** `penstock new handler <name>`. */
export function registerNewHandler(parent: Command, ctx: CliContext): void {
  parent
    .command("handler")
    .argument("<name>", "the handler's name: lower-case letters, digits and hyphens")
    .summary("make a handler of your own")
    .description(
      "Makes a package in packages/handlers with a handler and a test that passes, and plugs it in: into penstock.config.ts, package.json, the tsconfigs and the lockfile.",
    )
    .option("--table", "one that keeps what it is told in a table of its own")
    .option("--effect", "one that talks to the world outside of Postgres")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} new handler tickets --table\n  ${ctx.penstock} new handler notify --effect`,
    )
    .action((name: string, options: { table?: true; effect?: true }) => newHandler(ctx, name, options));
}

async function newHandler(ctx: CliContext, name: string, { table, effect }: { table?: true; effect?: true }) {
  if (table && effect) {
    throw new UsageError(
      "Take --table or --effect. For an effect handler that keeps tables take --effect, give it `migrations`, and write them by ctx.transaction.",
    );
  }
  assertUsable(name);
  const form: HandlerForm = effect ? "effect" : table ? "table" : "plain";
  const { root } = findProject(ctx);
  const folder = `packages/handlers/${name}`;
  if (!existsSync(join(root, "pnpm-workspace.yaml")) || !existsSync(join(root, "packages/handlers"))) {
    throw new CliError(
      `${root} is no clone of Penstock: there is no packages/handlers. In a repository of your own a handler is a module or a package that penstock.config.ts imports: see docs/handlers.md.`,
    );
  }
  if (existsSync(join(root, folder)))
    throw new CliError(`${folder} is there already: take another name, or take it out as docs/handlers.md says.`);
  const config = join(root, "penstock.config.ts");
  const packageName = `@penstock/handler-${name}`;
  const identifier = toHandlerIdentifier(name);
  const variable = `${name.toUpperCase().replaceAll("-", "_")}_URL`;
  const entry = effect ? `${identifier}({ url: process.env["${variable}"] ?? "http://127.0.0.1:3000/" })` : identifier;
  const plugged = plugInHandler(await readText(config), { package: packageName, identifier, entry });
  if (!plugged.ok && plugged.reason === "taken") {
    throw new CliError(
      `penstock.config.ts imports ${packageName} already: take another name, or take it out as docs/handlers.md says.`,
    );
  }

  const files = {
    [`${folder}/package.json`]: JSON.stringify(packageTemplate(name, form), null, 2),
    [`${folder}/tsconfig.json`]: JSON.stringify(TSCONFIG, null, 2),
    [`${folder}/README.md`]: readmeTemplate(name, form),
    [`${folder}/src/index.ts`]: handlerTemplate(name, form),
    ...(table && { [`${folder}/src/migrations/0001-messages.ts`]: MIGRATION }),
    [`${folder}/test/${name}.test.ts`]: handlerTestTemplate(name, form),
  };
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), text, { flag: "wx" });
  }
  if (plugged.ok) await writeFile(config, plugged.text);
  await changeJson(join(root, "package.json"), addDependency(packageName, "workspace:*"));
  const tsconfigs = ["tsconfig.json", "tsconfig.tests.json"];
  for (const file of tsconfigs) await changeJson(join(root, file), addReference(folder));

  ctx.output.say("Installing…");
  const changed = [...(plugged.ok ? ["penstock.config.ts"] : []), "package.json", ...tsconfigs];
  const trouble = (await installWorkspace(ctx, root)) ?? (await format(ctx, root, [...changed, folder]));
  ctx.output.result(
    [
      ...Object.keys(files).map((file) => `wrote ${file}`),
      `changed ${changed.join(", ")} and pnpm-lock.yaml`,
      ...(plugged.ok
        ? []
        : [
            "penstock.config.ts is not of a form that can be changed here: import the handler there and list it yourself",
          ]),
      "",
      "Next:",
      `  say what it listens to and what it does in ${folder}/src/index.ts`,
      `  npm test -- ${folder}`,
      `  ${effect ? `${variable}=https://… ` : ""}npm start`,
      `  ${ctx.penstock} send ${effect ? "message.failed" : "message.received"}`,
      `  ${ctx.penstock} deliveries list --handler ${name}`,
    ].join("\n"),
  );
  if (trouble !== null) {
    throw new CliError(
      `It is all written, but could not be installed or formatted: ${trouble}\nThen run \`npx pnpm install\` and \`npm run format\` yourself.`,
    );
  }
}

/** A name that the SDK takes, and npm, too. */
function assertUsable(name: string): void {
  if (name.endsWith("-") || name.includes("--")) {
    throw new UsageError("This name will not do: in a handler's name a hyphen stands between two other characters.");
  }
  try {
    defineHandler({ name, on: ["message.received"], handle: () => undefined });
  } catch (error) {
    throw new UsageError(`This name will not do: ${describeError(error)}.`, { cause: error });
  }
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: unknown) => {
    throw new CliError(`${file} cannot be read: ${describeError(error)}`, { cause: error });
  });
}

function format(ctx: CliContext, root: string, files: readonly string[]): Promise<string | null> {
  const prettier = join(root, "node_modules/prettier/bin/prettier.cjs");
  return runProgram(ctx, root, ctx.node.execPath, [prettier, "--write", "--log-level", "warn", ...files]);
}
