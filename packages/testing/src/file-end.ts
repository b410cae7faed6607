import { afterAll } from "vitest";

type CleanUp = () => Promise<unknown>;

const pending: CleanUp[] = [];

/** Has `cleanUp` run when the test file ends, after the file's own hooks; what was opened last is closed first. */
export function atFileEnd(cleanUp: CleanUp): void {
  pending.push(cleanUp);
}

// Registered when a test file imports this package, before any hook of its own, and hooks run in reverse.
afterAll(async () => {
  const failures: unknown[] = [];
  for (let next = pending.pop(); next; next = pending.pop()) {
    await next().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0)
    throw new AggregateError(failures, "Not everything that the test file opened could be closed.");
}, 300_000);
