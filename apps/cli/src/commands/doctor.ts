import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { ReportedFailure } from "../cli-error.ts";
import { diagnose } from "../doctor.ts";
import { formatDiagnosis } from "../output/diagnosis.ts";

export function registerDoctor(program: Command, ctx: CliContext): void {
  program
    .command("doctor")
    .summary("what is wrong, what it means, and what to do")
    .description(
      "Looks at settings, Postgres, the queue, clocks, migrations, what waits, sources, the master key, retention and exporters, and changes nothing. Exit code 1 when something fails. Settings are those of this command; with --url, those of the console.",
    )
    .option("--settings", "list all settings in force, and where each comes from")
    .option("--json", "print one JSON object, settings included")
    .addHelpText("after", `\nExamples:\n  ${ctx.penstock} doctor\n  ${ctx.penstock} doctor --settings`)
    .action(async ({ json, settings }: { json?: true; settings?: true }) => {
      const diagnosis = await diagnose(ctx);
      if (json) ctx.output.json(diagnosis);
      else ctx.output.result(formatDiagnosis(diagnosis, { settings: settings === true, penstock: ctx.penstock }));
      if (diagnosis.level === "fail") throw new ReportedFailure("something fails");
    });
}
