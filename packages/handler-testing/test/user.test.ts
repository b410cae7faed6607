import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProcess } from "@penstock/testing";
import { expect, onTestFinished, test } from "vitest";

const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const config = fileURLToPath(new URL("fixtures/vitest.config.ts", import.meta.url));

async function runTests(env: Record<string, string>) {
  const temporary = await mkdtemp(join(tmpdir(), "penstock-user-"));
  onTestFinished(() => rm(temporary, { recursive: true, force: true, maxRetries: 5 }));
  const run = startProcess({
    file: vitest,
    args: ["run", "--config", config, "--configLoader", "runner"],
    env: { TMPDIR: temporary, TEST_DATABASE_URL: "", NO_COLOR: "1", ...env },
    name: "inner run",
  });
  expect(await run.exited).toEqual({ code: 1, signal: null });
  return { printed: [...run.stdout, ...run.stderr].join("\n"), left: await readdir(temporary) };
}

test("a test that fails has its story printed, and one that passes not; nothing is left behind", async () => {
  const { printed, left } = await runTests({ SETUP: "1" });
  expect(printed).toContain("message.received evt_unwell");
  expect(printed).toMatch(/try 1 failed: DatabaseError: new row for relation "greetings" violates/);
  expect(printed).toContain("greetings.greetings: no rows");
  expect(printed).not.toContain("evt_well");
  expect(printed).toMatch(/1 failed \| 1 passed/);
  expect(left).toEqual([]);
});

test("without the global setup it says how to add it", async () => {
  const { printed } = await runTests({});
  expect(printed).toContain('add globalSetup: ["@penstock/handler-testing/global-setup"]');
  expect(printed).toMatch(/2 failed/);
});
