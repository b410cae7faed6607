import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { withFileLock } from "./file-lock.ts";

async function lockFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "penstock-lock-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return join(dir, "lock");
}

test("work under one lock runs one after another, also after work that failed", async () => {
  const options = { file: await lockFile(), waitMs: 5_000, busy: "busy" };
  const order: string[] = [];
  const work = (name: string, fails: boolean) => async (): Promise<void> => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push(`${name} ends`);
    if (fails) throw new Error(name);
  };
  const results = await Promise.allSettled([
    withFileLock(options, work("one", true)),
    withFileLock(options, work("two", false)),
  ]);
  expect(order).toEqual(["one begins", "one ends", "two begins", "two ends"]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
});

test("a lock that is not had in time is an error that says so", async () => {
  const file = await lockFile();
  await withFileLock({ file, waitMs: 0, busy: "" }, async () => {
    const second = withFileLock({ file, waitMs: 100, busy: "somebody has it" }, async () => {});
    await expect(second).rejects.toMatchObject({ code: "LOCK_TIMEOUT", message: "somebody has it" });
  });
});
