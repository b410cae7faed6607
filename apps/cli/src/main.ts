#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { withSecretFiles } from "@penstock/schemas";
import type { CliContext } from "./cli-context.ts";
import { describeError } from "./describe-error.ts";
import { createOutput } from "./output/output.ts";
import { createProgram, runProgram } from "./program.ts";

/** One Ctrl-C can arrive more than once, from the terminal and from npm; this soon it is no second one. */
const SAME_SIGNAL_MS = 500;

const stop = new AbortController();
const stopNow = new AbortController();

let listening = false;

function listenToSignals(): void {
  if (listening) return;
  listening = true;
  let firstAt = 0;
  const onSignal = () => {
    if (!stop.signal.aborted) {
      firstAt = performance.now();
      stop.abort();
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
      stopNow.abort();
      process.exit(130);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
}

// Whoever read the output may have gone (`| head`), and a terminal that was closed takes no more words.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

function findUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`; // the user of an image may have no entry in /etc/passwd
  }
}

const ctx: CliContext = {
  version,
  penstock: process.env["PENSTOCK_COMMAND"] || "npm run penstock --",
  // When a command asks: one that needs no secret, and --help, work without the files that hold them.
  get env() {
    return withSecretFiles(process.env);
  },
  rawEnv: process.env,
  cwd: process.cwd(),
  typedIn: process.env["INIT_CWD"] ?? process.cwd(),
  given: {},
  output: createOutput(process.stdout, process.stderr),
  actor: process.env["PENSTOCK_ACTOR"] || `cli:${findUser()}@${hostname()}`,
  get stop() {
    listenToSignals();
    return stop.signal;
  },
  stopNow: stopNow.signal,
  node: {
    execPath: process.execPath,
    args: process.execArgv.filter((argument) => argument.startsWith("--conditions=")),
  },
};
// Of a handler in a dry run, or of a mistake of ours: it must not end what the command is about to tell.
let unheard = false;
process.on("unhandledRejection", (error) => {
  unheard = true;
  ctx.output.say(`A promise was rejected and nobody heard. ${describeError(error)}`);
});
const exitCode = await runProgram(createProgram(ctx), process.argv.slice(2), ctx);
process.exitCode = unheard && exitCode === 0 ? 1 : exitCode;
