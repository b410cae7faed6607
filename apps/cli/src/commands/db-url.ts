import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { findStoreConfig } from "../database.ts";

export function registerDb(program: Command, ctx: CliContext): void {
  const db = program.command("db").summary("where the database is").description("Tells about the database.");
  db.command("url")
    .summary("print the connection string")
    .description("Prints the connection string of the database: DATABASE_URL, else that of the embedded Postgres.")
    .addHelpText("after", `\nExample:\n  psql "$(npm run --silent penstock -- db url)"\n  ${ctx.penstock} db url`)
    .action(async () => {
      const { databaseUrl } = await findStoreConfig(ctx);
      ctx.output.result(databaseUrl);
    });
}
