import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const repository = join(import.meta.dirname, "..");
const vitest = join(repository, "node_modules/vitest/vitest.mjs");

/** Passes from the second run on: the first leaves a marker. */
const onlyOnce = (marker: string): string =>
  `const isFirst = !existsSync("${marker}"); writeFileSync("${marker}", ""); if (isFirst) throw new Error("the first time");`;

/** Runs these test files by the script, as .ci/run does; what it printed, and the numbers that count. */
function runTwice(files: Record<string, string>, config = "export default {};") {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "penstock-twice-")));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, "vitest.config.mjs"), config);
  const tools = `import { existsSync, writeFileSync } from "node:fs"; import { beforeAll, expect, test } from ${JSON.stringify(join(repository, "node_modules/vitest/dist/index.js"))};\n`;
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, `${name}.test.mjs`), tools + text);
  const folder = join(root, "results");
  mkdirSync(folder);
  const call = (...args: string[]) =>
    spawnSync(process.execPath, [join(repository, "tools/test-twice.ts"), ...args], { cwd: root, encoding: "utf8" });
  const ran = call("run", folder, "some", process.execPath, vitest, "run", "--root", root);
  const ended = call("end", folder);
  expect([ran.status, ended.status, ended.stderr]).toEqual([0, 0, expect.any(String)]);
  const lines = ended.stdout.split("\n");
  return {
    again: lines.filter((line) => line.startsWith("── again")).length,
    said: lines.filter((line) => /^(?:flaky: |✗ )/.test(line)),
    numbers: readFileSync(join(folder, "numbers"), "utf8"),
  };
}

test("what fails twice has failed, what fails once is flaky and has passed, and only their files are run again", () => {
  const { again, said, numbers } = runTwice({
    always: `test("good", () => {}); test("never works", () => { throw new Error("no"); });`,
    once: `test("works later", () => { ${onlyOnce("once")} }); test("good", () => {});`,
    never: `test("good", () => {}); test("good", () => {});`,
  });
  expect(again).toBe(2);
  expect(said.toSorted()).toEqual(["flaky: once.test.mjs › works later", "✗ always.test.mjs › never works: failed"]);
  expect(numbers).toBe("some 5 1\n");
}, 120_000);

test("a file that cannot be loaded, whose hook fails, or that leaves an error behind, is run again as well", () => {
  const { said, numbers } = runTwice({
    "a-load": `test("a", () => {}); ${onlyOnce("load")}`,
    "b-hook": `beforeAll(() => { ${onlyOnce("hook")} }); test("b", () => {});`,
    "c-error": `test("c", async () => { Promise.resolve().then(() => { ${onlyOnce("error")} }); await new Promise((done) => setTimeout(done, 50)); });`,
    "d-load": `test("d", () => {}); throw new Error("every time");`,
    "e-hook": `beforeAll(() => { throw new Error("every time"); }); test("e", () => {});`,
    "f-error": `test("f", async () => { void Promise.reject(new Error("every time")); await new Promise((done) => setTimeout(done, 50)); });`,
  });
  expect(said.toSorted()).toEqual([
    "flaky: a-load.test.mjs › the file as a whole: the first time",
    "flaky: b-hook.test.mjs › the file as a whole: the first time",
    "flaky: c-error.test.mjs › the file as a whole: the first time",
    "✗ d-load.test.mjs: every time",
    "✗ e-hook.test.mjs › e: was skipped or left to do",
    "✗ e-hook.test.mjs: every time",
    "✗ f-error.test.mjs: every time",
  ]);
  expect(numbers).toBe("some 4 4\n");
}, 120_000);

test("what belongs to no file fails, and so does a run without a result, and a test that is left out", () => {
  const teardown = `export const teardown = () => { throw new Error("every time"); };`;
  const setup = { "global-setup": teardown };
  const config = `export default { test: { include: ["good.test.mjs"], globalSetup: ["./global-setup.test.mjs"] } };`;
  expect(runTwice({ ...setup, good: `test("good", () => {});` }, config)).toMatchObject({
    said: [expect.stringMatching(/^✗ some: the tests failed outside of a test \(exit code 1\)$/)],
    numbers: "some 1 1\n",
  });
  expect(runTwice({}, "throw new Error('no config');")).toMatchObject({
    said: [expect.stringMatching(/^✗ some: the tests left no result/)],
    numbers: "some 0 1\n",
  });
  expect(runTwice({ good: `test("good", () => {}); test.skip("later", () => {});` })).toMatchObject({
    said: ["✗ good.test.mjs › later: was skipped or left to do"],
    numbers: "some 1 1\n",
  });
}, 120_000);
