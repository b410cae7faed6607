import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { ReportedFailure, UsageError } from "../cli-error.ts";
import { withOperations } from "../operations/with-operations.ts";
import { formatBytes } from "../output/format-bytes.ts";
import { describeDays, formatRetentionPlan, formatRetentionRun } from "../output/retention-plan.ts";
import { wholeNumber } from "../whole-number.ts";

export function registerRetention(program: Command, ctx: CliContext): void {
  const retention = program
    .command("retention")
    .summary("what is deleted, when, and what is kept")
    .description(
      "Shows and does what a worker does each hour: days that are older than their term go, and the oldest days while Penstock takes more than its limit. The terms are those that workers run with (RETENTION_DAYS, RETENTION_BYTES, DEDUPE_WINDOW_DAYS, and the sources').",
    );
  retention
    .command("plan")
    .summary("what would go now, when the rest goes, and what is kept and why")
    .description("Shows what would go now, when the rest goes, and what is kept and why. Deletes nothing.")
    .option("--days <n>", "as if RETENTION_DAYS were this", wholeNumber(1, 36_500))
    .option("--json", "print one JSON object")
    .addHelpText("after", `\nExamples:\n  ${ctx.penstock} retention plan\n  ${ctx.penstock} retention plan --days 7`)
    .action(async ({ json, days }: { json?: true; days?: number }) => {
      const plan = await withOperations(ctx, ({ planRetention }) => planRetention(days));
      if (json) return ctx.output.json(plan);
      ctx.output.result(formatRetentionPlan(plan));
    });
  retention
    .command("run")
    .summary("delete what is due, now")
    .description("Deletes what `retention plan` shows, now. A run that is broken off is finished by the next one.")
    .option("--yes", "really do it; without it, what would go is told")
    .option("--json", "print one JSON object: what went")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} retention run --yes`)
    .action(async ({ yes, json }: { yes?: true; json?: true }) => {
      const run = await withOperations(ctx, async ({ planRetention, runRetention }) => {
        const plan = await planRetention();
        const going = plan.days.filter(({ action }) => action !== "keep");
        if (yes !== true && going.length > 0) {
          const what = `${describeDays(going)} for good, about ${formatBytes(plan.frees)}`;
          throw new UsageError(`${what}. Look at it with \`${ctx.penstock} retention plan\`, then add --yes.`);
        }
        return runRetention(going.map(({ day }) => day));
      });
      if (json) ctx.output.json(run);
      else ctx.output.result(formatRetentionRun(run));
      if (run.failed.length > 0) throw new ReportedFailure("some days failed");
    });
}
