import { SIMULATED } from "@penstock/simulator";
import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { start } from "../supervisor/start.ts";

const help = (ctx: CliContext): string => `
Environment:
  INGEST_PORT              port of the webhook (8080; 0: any free one)
  INGEST_HOST              address to listen on (127.0.0.1)
  CONSOLE_PORT             port of the console (8081; 0: any free one)
  CONSOLE_HOST             address to listen on (127.0.0.1)
  DATABASE_URL             Postgres 15 or later; an embedded one, in .penstock, unless set
  QUEUE_URL                redis://… or postgres://…; the database of DATABASE_URL unless set
  ${SIMULATED.secretsFrom}  live secrets, one per line or a JSON list; one that is made and kept unless set
  <NAME>_SIGNING_SECRETS   the same of each other source in penstock.sources.ts
  LOG_LEVEL                trace, debug, info, warn, error, fatal or silent (info)
  PENSTOCK_CONFIG          path of penstock.config.ts
  PENSTOCK_SOURCES         path of penstock.sources.ts
  PENSTOCK_HOME            folder for data, logs and secret (.penstock in the project)

Examples:
  npm start
  INGEST_PORT=8081 npm start
  QUEUE_URL=redis://127.0.0.1:6379 ${ctx.penstock} start`;

export function registerStart(program: Command, ctx: CliContext): void {
  program
    .command("start")
    .summary("run everything on this machine")
    .description(
      "Starts Postgres unless DATABASE_URL names one, migrates it, runs ingest, worker and console, and starts again what dies. Ctrl-C stops all of it in order, a second one at once.",
    )
    .addHelpText("after", help(ctx))
    .action(() => start(ctx));
}
