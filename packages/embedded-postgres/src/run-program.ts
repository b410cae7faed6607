import { spawn, type SpawnOptions } from "node:child_process";
import { isRoot, type Account } from "./account.ts";
import { StartFailedError } from "./errors.ts";

/** Options that every Postgres program is run with: as the account, in no directory of the user's, with a bare environment. */
export function programOptions(account: Account | null): SpawnOptions {
  return {
    // PGDATA, PGPORT or PGOPTIONS of the user's shell are meant for other servers.
    env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
    // The account may not be able to enter the current one.
    cwd: "/",
    ...(account && isRoot() ? { uid: account.uid, gid: account.gid } : {}),
  };
}

/** Runs a program of Postgres to its end, with `input` as its standard input. Errors: START_FAILED with what it printed. */
export function runProgram(file: string, args: string[], account: Account | null, input = ""): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const child = spawn(file, args, { ...programOptions(account), stdio: "pipe" });
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    // Ended before it read its input; its exit code says the rest.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    child.on("error", (error) =>
      reject(new StartFailedError(`${file} cannot be run: ${error.message}`, { cause: error })),
    );
    child.on("close", (code, signal) => {
      if (code === 0) return resolve();
      const end = output.trim().split("\n").slice(-15).join("\n");
      reject(new StartFailedError(`${file} ended with ${signal ?? `exit code ${code}`}:\n${end}`));
    });
  });
}
