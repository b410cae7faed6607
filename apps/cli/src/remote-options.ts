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
  "erase",
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

/** What asks neither a database nor a console, or says itself what it does where PENSTOCK_URL is set. */
const ALONE: readonly string[] = ["start", "new handler", "new source", "send", "secret show", "sources url"];

/** Commands with a --url that is no console. */
const OWN_URL: readonly string[] = ["endpoints update", "send"];

/** Lets commands be told the console to work through, before and after their names, and refuses where one cannot. */
export function addRemoteOptions(program: Command, ctx: CliContext): void {
  // Else an option before the command would take those of the same name behind it: `send --url`.
  program.enablePositionalOptions();
  program.addOption(url()).addOption(token());
  for (const command of leavesOf(program)) {
    const hasOwnUrl = command.options.some(({ long }) => long === "--url");
    // Where a command cannot, it takes them all the same, to say so.
    const isHidden = !isRemote(command);
    if (!hasOwnUrl) command.addOption(url().hideHelp(isHidden));
    command.addOption(token().hideHelp(isHidden));
  }
  program.hook("preAction", (_, command) => {
    const before: RemoteOptions = program.opts();
    // `erase` is a command and has one below it.
    const above: RemoteOptions = command.parent === program ? {} : (command.parent?.opts() ?? {});
    const behind: RemoteOptions = { ...above, ...command.opts() };
    const name = nameOf(command);
    const hasOwnUrl = OWN_URL.includes(name);
    const given = { url: (hasOwnUrl ? undefined : behind.url) ?? before.url, token: behind.token ?? before.token };
    if (given.url !== undefined) ctx.given.url = given.url;
    if (given.token !== undefined) ctx.given.token = given.token;
    if (isRemote(command) || (given.url === undefined && ALONE.includes(name))) return;
    assertNoRemote(ctx, `\`${name}\``);
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
  command.commands.length === 0
    ? [command]
    : [...(command.name() === "erase" ? [command] : []), ...command.commands.flatMap(leavesOf)];
