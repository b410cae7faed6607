import { toTerms } from "@penstock/store";
import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { addListOptions, type ListOptions } from "../filter-options.ts";
import { explainNoMatch, findEvent } from "../no-match.ts";
import { withOperations } from "../operations/with-operations.ts";
import { printable } from "../output/printable.ts";
import { formatQuarantineTable } from "../output/quarantine-table.ts";
import { findOneEvent } from "../replay/find-one-event.ts";

export function registerQuarantine(program: Command, ctx: CliContext): void {
  const quarantine = program
    .command("quarantine")
    .summary("signed events that were not understood")
    .description("Shows and dismisses signed events that were not understood. They are kept, and can be replayed.");

  // They have no deliveries, and so no states.
  addListOptions(quarantine.command("list"), "event", [])
    .summary("list them, the newest first, with the reason")
    .description(
      "Lists signed events that were not understood, the newest first, with the reason. With --handler, those of a type that this handler subscribes to. What was dismissed is left out (`events list --status quarantined` has it).",
    )
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} quarantine list --since 2d\n  ${ctx.penstock} replay create --quarantined --type message.received --yes`,
    )
    .action(async ({ json, limit, ...filter }: ListOptions) => {
      const { rows, why } = await withOperations(ctx, async (operations) => {
        const terms = toTerms({ ...filter, status: "quarantined" });
        const rows = (await operations.searchEvents({ terms, limit, open: true })).items;
        const none = "Nothing that matches is in quarantine.";
        return { rows, why: rows.length === 0 ? await explainNoMatch(ctx, operations, filter, none) : "" };
      });
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say(why);
      ctx.output.result(formatQuarantineTable(rows, new Date()));
    });

  quarantine
    .command("dismiss")
    .argument("<event>", "the event's id, or its seq (7, or seq:7)")
    .summary("have one that is dealt with listed no more")
    .description(
      "Has an event that is dealt with, e.g. replayed with another body, listed no more and left out of bulk replays. It is kept, and can be replayed by name.",
    )
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} quarantine dismiss evt_7f3a9b2c`)
    .action(async (event: string) => {
      await withOperations(ctx, async (operations) => {
        const pointer = await findOneEvent(ctx, operations, event);
        if (await operations.dismissQuarantined(pointer)) return;
        const found = await findEvent(operations, `seq:${pointer.seq}`);
        const what = found?.quarantine?.dismissedAt
          ? `was dismissed already, at ${found.quarantine.dismissedAt}`
          : "is not in quarantine";
        throw new CliError(`Event ${printable(event)} ${what}.`);
      });
      ctx.output.result(`dismissed ${printable(event)}`);
    });
}
