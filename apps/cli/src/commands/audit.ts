import type { AuditFilter } from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { moment } from "../filter-options.ts";
import { withOperations } from "../operations/with-operations.ts";
import { formatAuditTable } from "../output/audit-table.ts";
import { wholeNumber } from "../whole-number.ts";

export function registerAudit(program: Command, ctx: CliContext): void {
  const audit = program
    .command("audit")
    .summary("who changed what, and when")
    .description("Shows the audit log: every change by an operator, and every secret that was shown to one.");

  audit
    .command("list")
    .summary("list what operators did, the newest first")
    .description(
      "Lists what operators did, the newest first. Who did it is PENSTOCK_ACTOR where that is set, else the user and the host of the command.",
    )
    .option("--actor <name>", "only by this one, e.g. cli:ada@host")
    .option("--action <action>", "only this, e.g. handlers.pause, or all of a noun, e.g. handlers")
    .option("--target <id>", "only of what has this name or id, e.g. ep_0123456789abcdef")
    .addOption(new Option("--since <time>", "only since: a time, or how long ago, e.g. 2h").argParser(moment))
    .addOption(new Option("--until <time>", "only before").argParser(moment))
    .addOption(
      new Option("--before <id>", "the next page: only what is older than this entry").argParser(
        wholeNumber(1, 999_999_999_999_999),
      ),
    )
    .addOption(new Option("--limit <n>", "how many at most").argParser(wholeNumber(1, 10_000)).default(20))
    .option("--json", "print one JSON object per entry")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} audit list --since 2d\n  ${ctx.penstock} audit list --action endpoints --json`,
    )
    .action(
      async ({ json, limit, before, ...filter }: AuditFilter & { limit: number; before?: number; json?: true }) => {
        const page = { limit, ...(before !== undefined && { before }) };
        const rows = await withOperations(ctx, ({ listAudit }) => listAudit(filter, page));
        if (json) return rows.forEach((row) => ctx.output.json(row));
        if (rows.length === 0) {
          const isFiltered = before !== undefined || Object.keys(filter).length > 0;
          return ctx.output.say(isFiltered ? "No entry matches." : "Nobody has changed anything yet.");
        }
        ctx.output.result(formatAuditTable(rows));
        const last = rows.at(-1);
        if (rows.length === limit && last) ctx.output.say(`What is older: add --before ${last.id}`);
      },
    );
}
