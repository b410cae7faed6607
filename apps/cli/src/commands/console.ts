import { addPerson, createApiToken, createSignInLink, ensureAdmin, findPerson } from "@penstock/store";
import { ROLES } from "@penstock/schemas/admin";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { toJsonLine } from "../output/json-line.ts";
import { findProject } from "../project.ts";
import { findRun } from "../run-state.ts";
import { toSignInUrl } from "../supervisor/admin-link.ts";
import { wholeNumber } from "../whole-number.ts";

const LINK_MINUTES = 60;
const INVITATION_MINUTES = 3 * 24 * 60;
/** Of what runs on this machine, where nothing else is known. */
const USUAL_URL = "http://127.0.0.1:8081";

export function registerConsole(program: Command, ctx: CliContext): void {
  const command = program
    .command("console")
    .summary("sign in to the console")
    .description("Lets people into the console.");

  command
    .command("link")
    .summary("make a link that signs in, once")
    .description(
      "Prints a link by which its admin, or somebody else, signs in to the console, once and within an hour.",
    )
    .option("--email <address>", "whom it signs in; the admin unless given")
    .option("--json", "one JSON object")
    .action(({ email, json }: { email?: string; json?: true }) =>
      withStore(ctx, async (store) => {
        const person = email === undefined ? await ensureAdmin(store) : await findPerson(store, email);
        if (person === null) {
          throw new CliError(`There is nobody with the address ${email}: ${ctx.penstock} console invite ${email}`);
        }
        if (person.disabledAt !== null)
          throw new CliError(`${person.email} may not sign in: an admin can change that.`);
        const { token, expiresAt } = await createSignInLink(store, person, LINK_MINUTES, ctx.actor);
        const url = toSignInUrl(await findConsoleUrl(ctx), token);
        ctx.output.result(json ? toJsonLine({ email: person.email, url, expiresAt }) : url);
      }),
    );

  command
    .command("invite")
    .argument("<email>")
    .summary("let somebody in")
    .description(
      "Adds somebody who may use the console, and prints a link by which they sign in, once and within three days.",
    )
    .addOption(new Option("--role <role>", "what they may do").choices([...ROLES]).default("viewer"))
    .option("--payloads", "show them the bodies of events; else these are masked")
    .option("--name <name>", "what they are called; the address unless given")
    .option("--json", "one JSON object")
    .action((email: string, options: { role: (typeof ROLES)[number]; payloads?: true; name?: string; json?: true }) =>
      withStore(ctx, async (store) => {
        if (!/^[^@\s]+@[^@\s]+$/.test(email)) throw new UsageError(`${email} is no address of a mailbox.`);
        const { role, payloads = false, name = email, json } = options;
        const person = await addPerson(store, { email, name, role, seesPayloads: payloads }, ctx.actor);
        if (person === null) {
          throw new CliError(`${email} is there already. For a link: ${ctx.penstock} console link --email ${email}`);
        }
        const { token, expiresAt } = await createSignInLink(store, person, INVITATION_MINUTES, ctx.actor);
        const url = toSignInUrl(await findConsoleUrl(ctx), token);
        ctx.output.result(json ? toJsonLine({ email: person.email, role, url, expiresAt }) : url);
      }),
    );

  command
    .command("token")
    .argument("<name>", "what it is for, as the page Settings shows it")
    .summary("make a token for programs and for --url")
    .description(
      "Prints a token by which a program, or this command with --url, works through the console. It is shown once, and revoked on the page Settings.",
    )
    .addOption(new Option("--role <role>", "what it may do").choices([...ROLES]).default("viewer"))
    .option("--payloads", "show it the bodies of events; else these are masked")
    .option("--days <days>", "how long it is valid; until it is revoked unless given", wholeNumber(1, 3_650))
    .option("--json", "one JSON object")
    .action((name: string, options: { role: (typeof ROLES)[number]; payloads?: true; days?: number; json?: true }) =>
      withStore(ctx, async (store) => {
        const { role, payloads = false, days = null, json } = options;
        const wanted = { name, role, seesPayloads: payloads, expiresInDays: days };
        const { token, value } = await createApiToken(store, wanted, ctx.actor);
        ctx.output.result(json ? toJsonLine({ ...token, value }) : value);
      }),
    );
}

/** Where the console is: by CONSOLE_URL, else that of the start that runs here. */
async function findConsoleUrl(ctx: CliContext): Promise<string> {
  const given = ctx.env["CONSOLE_URL"];
  if (given) return given.replace(/\/+$/, "");
  try {
    return (await findRun(findProject(ctx).home))?.consoleUrl ?? USUAL_URL;
  } catch {
    return USUAL_URL; // in an image there is no project
  }
}
