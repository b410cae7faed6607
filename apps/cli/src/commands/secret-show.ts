import { SIMULATED } from "@penstock/simulator";
import type { Command } from "commander";
import type { CliContext } from "../cli-context.ts";
import { findSigningSecrets } from "../signing-secret.ts";

export function registerSecret(program: Command, ctx: CliContext): void {
  const secret = program.command("secret").summary("the signing secret").description("Tells about the signing secret.");
  secret
    .command("show")
    .summary("print the signing secret")
    .description(
      `Prints the live signing secrets, one per line: ${SIMULATED.secretsFrom}, else the one that \`start\` made.`,
    )
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} secret show`)
    .action(async () => {
      const { secrets } = await findSigningSecrets(ctx);
      ctx.output.result(secrets.join("\n"));
    });
}
