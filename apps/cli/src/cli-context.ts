import type { Environment } from "@penstock/schemas";
import type { Output } from "./output/output.ts";

/** What a command may know of the process that it runs in; `main.ts` alone makes one. */
export interface CliContext {
  readonly version: string;
  /** How a user types the command, for hints: `npm run penstock --` unless PENSTOCK_COMMAND says otherwise, as in an image. */
  readonly penstock: string;
  /** The environment, with what `<NAME>_FILE` names read in. */
  readonly env: Environment;
  /** The environment as it was given: for programs of others, which need no secret of ours. */
  readonly rawEnv: Environment;
  /** The working directory of the process: where the project is looked for. */
  readonly cwd: string;
  /** Where the user typed the command, which npm hides from the process: what paths on the command line are relative to. */
  readonly typedIn: string;
  readonly output: Output;
  /** What --url and --token say, once the command line is read: the console to work through. */
  readonly given: { url?: string; token?: string };
  /** Who changes things, for the audit log: what PENSTOCK_ACTOR says, else `cli:<user of the system>@<host>`. */
  readonly actor: string;
  /**
   * Aborted by the first Ctrl-C, SIGTERM or SIGHUP: stop in order. Until a command reads this, a signal ends the process
   * at once.
   */
  readonly stop: AbortSignal;
  /** Aborted by the second: kill what you started; the process ends right after the listeners have run. */
  readonly stopNow: AbortSignal;
  /** This Node and the options that make it resolve packages as this process does. */
  readonly node: { readonly execPath: string; readonly args: readonly string[] };
}
