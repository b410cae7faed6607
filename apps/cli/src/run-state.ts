import { renameSync, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "./is-running.ts";

/** What a running `penstock start` tells the other commands of its project. */
export interface RunState {
  /** Of the supervisor. */
  readonly pid: number;
  readonly ingestUrl: string;
  readonly consoleUrl: string;
  readonly startedAt: string;
  /** Whose database it runs on: its own, or the one that its DATABASE_URL named. */
  readonly database: "embedded" | "external";
  /** Of the services, as far as they were ever started; the next start waits for those that outlived a kill -9. */
  readonly children: readonly number[];
}

const fileOf = (home: string): string => join(home, "run.json");

/** Writes the state, never half of it. */
export function writeRunState(home: string, state: RunState): void {
  const temporary = `${fileOf(home)}.${state.pid}`;
  writeFileSync(temporary, `${JSON.stringify(state)}\n`);
  renameSync(temporary, fileOf(home));
}

/** What the last start wrote, if it was not stopped in order or still runs; null when there is nothing to go by. */
export async function readRunState(home: string): Promise<RunState | null> {
  try {
    const state = JSON.parse(await readFile(fileOf(home), "utf8")) as Partial<RunState>;
    const { pid, ingestUrl, consoleUrl, startedAt, database, children } = state;
    if (!Number.isInteger(pid) || typeof ingestUrl !== "string" || !URL.canParse(ingestUrl)) return null;
    return {
      pid: pid as number,
      ingestUrl,
      consoleUrl: String(consoleUrl),
      startedAt: String(startedAt),
      database: database === "external" ? "external" : "embedded",
      children: Array.isArray(children) ? children.filter((each) => Number.isInteger(each) && each > 0) : [],
    };
  } catch {
    return null;
  }
}

/** The state of a start that runs right now, else null. */
export async function findRun(home: string): Promise<RunState | null> {
  const state = await readRunState(home);
  return state !== null && isRunning(state.pid) ? state : null;
}

/** Removes the state, as the last act of a start that was stopped in order. */
export async function removeRunState(home: string): Promise<void> {
  await rm(fileOf(home), { force: true });
}
