import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { findStoreConfig } from "../database.ts";
import { withOperations } from "../operations/with-operations.ts";
import { formatDatabase } from "../output/database-state.ts";

export function registerDb(program: Command, ctx: CliContext): void {
  const db = program
    .command("db")
    .summary("where the database is, and how large")
    .description("Tells about the database.");
  db.command("url")
    .summary("print the connection string")
    .description("Prints the connection string of the database: DATABASE_URL, else that of the embedded Postgres.")
    .addHelpText("after", `\nExample:\n  psql "$(npm run --silent penstock -- db url)"\n  ${ctx.penstock} db url`)
    .action(async () => {
      const { databaseUrl } = await findStoreConfig(ctx);
      ctx.output.result(databaseUrl);
    });
  db.command("show")
    .summary("what takes how much space, what waits, and what holds up vacuum")
    .description(
      "Shows the bytes of each table and of each day, dead rows, the oldest transaction, connections, and what waits to be processed.",
    )
    .option("--json", "print one JSON object")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} db show`)
    .action(async ({ json }: { json?: true }) => {
      const state = await withOperations(ctx, ({ readDatabase }) => readDatabase());
      if (json) return ctx.output.json(state);
      ctx.output.result(formatDatabase(state));
    });
}
