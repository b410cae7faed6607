import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { registerNewHandler } from "./new-handler.ts";
import { registerNewSource } from "./new-source.ts";

export function registerNew(program: Command, ctx: CliContext): void {
  const parent = program
    .command("new")
    .summary("make something of your own")
    .description("Writes the beginning of something of your own, with a test that passes, and plugs it in.");
  registerNewHandler(parent, ctx);
  registerNewSource(parent, ctx);
}
