import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { findStoreConfig, openStore } from "../database.ts";
import { applyMigrations } from "../migrations.ts";
import { loadProjectConfig } from "../project-config.ts";

export function registerMigrate(program: Command, ctx: CliContext): void {
  program
    .command("migrate")
    .summary("bring the database up to date")
    .description(
      "Applies the migrations of Penstock, of the queue and of each handler in penstock.config.ts. Safe to run at any time and from several places at once. `start` does it by itself.",
    )
    .option("--json", "print one JSON object")
    .addHelpText("after", `\nExample:\n  DATABASE_URL=postgres://… ${ctx.penstock} migrate`)
    .action(async ({ json }: { json?: true }) => {
      const config = await findStoreConfig(ctx);
      const plugged = await loadProjectConfig(ctx);
      const store = openStore(config.databaseUrl);
      try {
        const applied = await applyMigrations(store, config, plugged);
        if (json) ctx.output.json({ applied });
        else
          ctx.output.result(applied.length === 0 ? "up to date" : applied.map((name) => `applied ${name}`).join("\n"));
      } finally {
        await store.close();
      }
    });
}
