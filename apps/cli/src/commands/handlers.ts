import { listHandlers, removeHandler } from "@penstock/store";
import type { Command } from "commander";
import { type CliContext, PENSTOCK } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { formatColumns } from "../output/columns.ts";
import { formatAge } from "../output/duration.ts";
import { printable } from "../output/printable.ts";

export function registerHandlers(program: Command, ctx: CliContext): void {
  const handlers = program
    .command("handlers")
    .summary("which handlers events wait for")
    .description("Shows and forgets the handlers that workers have registered.");

  handlers
    .command("list")
    .summary("list the registered handlers")
    .description(
      "Lists the handlers that workers have registered: each event is kept for all that subscribe to its type.",
    )
    .option("--json", "print one JSON object per handler")
    .addHelpText("after", `\nExample:\n  ${PENSTOCK} handlers list`)
    .action(async ({ json }: { json?: true }) => {
      const rows = await withStore(ctx, listHandlers);
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say("No worker has registered a handler yet.");
      const now = Date.now();
      const table = rows.map(({ name, kind, types, seenAt }) => [
        printable(name),
        kind,
        `${formatAge(now - seenAt.getTime())} ago`,
        types.map((type) => printable(type)).join(" "),
      ]);
      ctx.output.result(formatColumns([["NAME", "KIND", "SEEN", "TYPES"], ...table]));
    });

  handlers
    .command("remove")
    .argument("<name>", "the handler's name")
    .summary("forget a handler that is gone for good")
    .description(
      "Forgets a handler whose code is gone for good: new events no longer wait for it. What it has done stays. A worker that still has it registers it again when it starts.",
    )
    .option("--yes", "really do it")
    .addHelpText("after", `\nExample:\n  ${PENSTOCK} handlers remove inbox --yes`)
    .action(async (name: string, { yes }: { yes?: true }) => {
      if (!yes)
        throw new UsageError(`Events would no longer wait for handler ${printable(name)}: add --yes to remove it.`);
      const removed = await withStore(ctx, (store) => removeHandler(store, name));
      if (!removed) throw new CliError(`There is no handler ${printable(name)}: see \`${PENSTOCK} handlers list\`.`);
      ctx.output.result(`removed ${printable(name)}`);
    });
}
