import { type Command, Option } from "commander";
import type { CliContext } from "./cli-context.ts";
import { assertNoRemote } from "./remote.ts";

/** Nouns whose commands can work through a console. */
const REMOTE: readonly string[] = [
  "events",
  "deliveries",
  "quarantine",
  "replay",
  "handlers",
  "lanes",
  "endpoints",
  "issues",
  "sources",
  "audit",
  "db",
  "doctor",
  "retention",
];

/** Of these, what reads the project on this machine, or needs the master key or the database itself. */
const LOCAL: readonly string[] = [
  "replay dry-run",
  "endpoints reseal",
  "sources list",
  "sources url",
  "sources verify",
  "sources secrets reseal",
  "db url",
];

/** Lets commands be told the console to work through, before and after their names, and refuses where one cannot. */
export function addRemoteOptions(program: Command, ctx: CliContext): void {
  // Else an option before the command would take those of the same name behind it: `send --url`.
  program.enablePositionalOptions();
  program.addOption(url()).addOption(token());
  for (const command of leavesOf(program)) {
    if (!isRemote(command)) continue;
    const hasOwnUrl = command.options.some(({ long }) => long === "--url");
    if (!hasOwnUrl) command.addOption(url());
    command.addOption(token());
  }
  program.hook("preAction", (_, command) => {
    const before: RemoteOptions = program.opts();
    const behind: RemoteOptions = isRemote(command) ? command.opts() : {};
    const hasOwnUrl = nameOf(command) === "endpoints update";
    const given = { url: (hasOwnUrl ? undefined : behind.url) ?? before.url, token: behind.token ?? before.token };
    if (given.url !== undefined) ctx.given.url = given.url;
    if (given.token !== undefined) ctx.given.token = given.token;
    if (given.url !== undefined && !isRemote(command)) assertNoRemote(ctx, `\`${nameOf(command)}\``);
  });
}

interface RemoteOptions {
  readonly url?: string;
  readonly token?: string;
}

const url = (): Option => new Option("--url <url>", "work through the console at this address; else PENSTOCK_URL");
const token = (): Option =>
  new Option("--token <token>", "an API token of that console; better by PENSTOCK_TOKEN or PENSTOCK_TOKEN_FILE");

function isRemote(command: Command): boolean {
  const name = nameOf(command);
  return REMOTE.includes(name.split(" ")[0] ?? "") && !LOCAL.includes(name);
}

/** As it is typed, e.g. `deliveries list`. */
function nameOf(command: Command): string {
  const { parent } = command;
  return parent?.parent ? `${nameOf(parent)} ${command.name()}` : command.name();
}

const leavesOf = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
