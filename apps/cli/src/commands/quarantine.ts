import { listEvents } from "@penstock/store";
import type { Command } from "commander";
import { type CliContext, PENSTOCK } from "../cli-context.ts";
import { withStore } from "../database.ts";
import { addListOptions, type ListOptions } from "../filter-options.ts";
import { formatQuarantineTable } from "../output/quarantine-table.ts";

export function registerQuarantine(program: Command, ctx: CliContext): void {
  const quarantine = program
    .command("quarantine")
    .summary("signed events that were not understood")
    .description("Shows signed events that were not understood. They are kept, and can be replayed.");

  addListOptions(quarantine.command("list"), "event")
    .summary("list them, the newest first, with the reason")
    .description(
      "Lists signed events that were not understood, the newest first, with the reason. With --handler, those of a type that this handler subscribes to.",
    )
    .addHelpText(
      "after",
      `\nExamples:\n  ${PENSTOCK} quarantine list --since 2d\n  ${PENSTOCK} replay create --quarantined --type message.received --yes`,
    )
    .action(async ({ json, ...filter }: ListOptions) => {
      const rows = await withStore(ctx, (store) => listEvents(store, { ...filter, status: "quarantined" }));
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say("Nothing that matches is in quarantine.");
      ctx.output.result(formatQuarantineTable(rows, new Date()));
    });
}
