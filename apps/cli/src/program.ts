import { Command, CommanderError } from "commander";
import type { CliContext } from "./cli-context.ts";
import { ReportedFailure, StoppedError, UsageError } from "./cli-error.ts";
import { registerArchive } from "./commands/archive.ts";
import { registerAudit } from "./commands/audit.ts";
import { registerConsole } from "./commands/console.ts";
import { registerDb } from "./commands/db.ts";
import { registerDeliveries } from "./commands/deliveries.ts";
import { registerDoctor } from "./commands/doctor.ts";
import { registerEndpoints } from "./commands/endpoints.ts";
import { registerErase } from "./commands/erase.ts";
import { registerEvents } from "./commands/events.ts";
import { registerExport } from "./commands/export.ts";
import { registerHandlers } from "./commands/handlers.ts";
import { registerImport } from "./commands/import.ts";
import { registerIssues } from "./commands/issues.ts";
import { registerLanes } from "./commands/lanes.ts";
import { registerListen } from "./commands/listen.ts";
import { registerMigrate } from "./commands/migrate.ts";
import { registerNew } from "./commands/new.ts";
import { registerQuarantine } from "./commands/quarantine.ts";
import { registerReconcile } from "./commands/reconcile.ts";
import { registerReplay } from "./commands/replay.ts";
import { registerRetention } from "./commands/retention.ts";
import { registerSecret } from "./commands/secret-show.ts";
import { registerSend } from "./commands/send.ts";
import { registerSources } from "./commands/sources.ts";
import { registerStart } from "./commands/start.ts";
import { describeError } from "./describe-error.ts";
import { printable } from "./output/printable.ts";
import { addRemoteOptions } from "./remote-options.ts";

const help = (ctx: CliContext): string => `
Get going:
  npm start
  ${ctx.penstock} send message.received
  ${ctx.penstock} events list

Exit codes: 0 done, 1 failed, 2 called wrongly, 130 stopped before it was done. With --json, standard output is one JSON object per line.`;

/** All commands. */
export function createProgram(ctx: CliContext): Command {
  const program = new Command("penstock")
    .description("Durable webhook ingestion: verified, committed, and handled exactly once.")
    .version(ctx.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .addHelpText("after", help(ctx))
    .showHelpAfterError("(add --help to see how it is called)")
    .configureOutput({
      writeOut: (text) => ctx.output.result(text.trimEnd()),
      writeErr: (text) => ctx.output.say(text.trimEnd()),
    })
    .exitOverride();
  registerStart(program, ctx);
  registerDoctor(program, ctx);
  registerSend(program, ctx);
  registerListen(program, ctx);
  registerSources(program, ctx);
  registerIssues(program, ctx);
  registerEvents(program, ctx);
  registerDeliveries(program, ctx);
  registerQuarantine(program, ctx);
  registerReplay(program, ctx);
  registerReconcile(program, ctx);
  registerHandlers(program, ctx);
  registerLanes(program, ctx);
  registerEndpoints(program, ctx);
  registerAudit(program, ctx);
  registerConsole(program, ctx);
  registerNew(program, ctx);
  registerMigrate(program, ctx);
  registerDb(program, ctx);
  registerRetention(program, ctx);
  registerArchive(program, ctx);
  registerExport(program, ctx);
  registerImport(program, ctx);
  registerErase(program, ctx);
  registerSecret(program, ctx);
  addRemoteOptions(program, ctx);
  return program;
}

/** Runs the command that the arguments name, tells what went wrong, and returns the exit code: 0, 1, 2 or 130. */
export async function runProgram(program: Command, args: readonly string[], ctx: CliContext): Promise<number> {
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has said already what was wrong with the call. Showing help is a failure when nobody asked for it.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof StoppedError) return 130;
    if (error instanceof ReportedFailure) return 1;
    ctx.output.say(printable(describeError(error), { keepLines: true }));
    return error instanceof UsageError ? 2 : 1;
  }
}
