// Runs tests for .ci/run, and at the end once more, alone, each file in which something failed:
//
//   test-twice.ts run <folder> <stage> <command…> [--filters <filter…>]
//     runs Vitest by this command, and notes in the folder what came of it
//   test-twice.ts end <folder>
//     runs again what failed, and writes a line `<stage> <passed> <failed>` for each stage to <folder>/numbers
//
// A test has failed when it passed neither time. One that failed once and passed once is printed as `flaky: <file> › <title>`.
// The same goes for a file as a whole: it could not be loaded, a hook of it failed, or an error came while no test was to blame.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Reporter } from "vitest/node";

/** What came of a file's tests, by title, and what was wrong with the file as a whole. */
interface FileResult {
  readonly tests: Record<string, "passed" | "failed" | "skipped">;
  readonly problem: string | null;
}

interface RunResult {
  readonly files: Record<string, FileResult>;
  /** Errors that belong to no file. */
  readonly problems: readonly string[];
}

interface Stage {
  readonly name: string;
  readonly command: readonly string[];
  readonly result: RunResult;
}

/** Names the file that the result of a run of Vitest goes to. */
const RESULT = "PENSTOCK_TEST_RESULT";

/** Vitest's reporter, which it loads from this file: writes the result of a run. */
export default class ResultReporter implements Reporter {
  onTestRunEnd: NonNullable<Reporter["onTestRunEnd"]> = (modules, unhandled, reason) => {
    const files: Record<string, FileResult> = {};
    for (const module of modules) {
      const tests: FileResult["tests"] = {};
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        tests[uniqueIn(tests, test.fullName)] = state === "pending" ? "skipped" : state;
      }
      const errors = [module, ...module.children.allSuites()].flatMap((suite) => suite.errors());
      errors.push(...unhandled.filter((error) => error["VITEST_TEST_PATH"] === module.moduleId));
      const isFinished = ["passed", "failed", "skipped"].includes(module.state());
      const problem = errors[0]?.message ?? (isFinished ? null : "it did not come to an end");
      files[module.moduleId] = { tests, problem };
    }
    const problems = unhandled
      .filter((error) => typeof error["VITEST_TEST_PATH"] !== "string" || !(error["VITEST_TEST_PATH"] in files))
      .map(({ message }) => message);
    if (reason === "interrupted") problems.push("the run was interrupted");
    writeFileSync(process.env[RESULT] ?? "", JSON.stringify({ files, problems } satisfies RunResult));
  };
}

/** Two tests can have one title. */
function uniqueIn(tests: Record<string, unknown>, title: string): string {
  let name = title;
  for (let number = 2; name in tests; number++) name = `${title} (${number})`;
  return name;
}

/** Runs Vitest to its end, with this reporter besides its own; what it says goes to the terminal. */
function runVitest(command: readonly string[], filters: readonly string[], output: string): RunResult {
  rmSync(output, { force: true });
  const [file = "", ...args] = command;
  const reporters = ["--reporter=default", `--reporter=${import.meta.filename}`];
  const { status } = spawnSync(file, [...args, ...reporters, ...filters], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, [RESULT]: output },
  });
  if (!existsSync(output)) return { files: {}, problems: [`the tests left no result (exit code ${status})`] };
  const result = JSON.parse(readFileSync(output, "utf8")) as RunResult;
  const isExplained = status === 0 || result.problems.length > 0 || Object.values(result.files).some(hasFailed);
  if (isExplained) return result;
  return { ...result, problems: [`the tests failed outside of a test (exit code ${status})`] };
}

function hasFailed({ tests, problem }: FileResult): boolean {
  return problem !== null || Object.values(tests).includes("failed");
}

/** What counts, and what is to be said, of a file that was run once or twice. */
function judge(file: string, first: FileResult, second: FileResult | undefined) {
  const name = relative(process.cwd(), file);
  const counts = { passed: 0, failed: 0 };
  const said: string[] = [];
  const titles = new Set([...Object.keys(first.tests), ...Object.keys(second?.tests ?? {})]);
  for (const title of titles) {
    const states = [first.tests[title], second?.tests[title]];
    if (states.includes("passed")) {
      counts.passed++;
      if (states.includes("failed")) said.push(`flaky: ${name} › ${title}`);
    } else {
      counts.failed++;
      said.push(`✗ ${name} › ${title}: ${states.includes("failed") ? "failed" : "was skipped or left to do"}`);
    }
  }
  const problems = [first.problem, second?.problem ?? null].filter((problem) => problem !== null);
  const [problem] = problems;
  if (problem === undefined) return { counts, said };
  // A file that was not run again has no second chance to have been well.
  if (second !== undefined && problems.length === 1) said.push(`flaky: ${name} › the file as a whole: ${problem}`);
  else {
    counts.failed++;
    said.push(`✗ ${name}: ${problem}`);
  }
  return { counts, said };
}

/** Runs again, alone, each file in which something failed, and returns what counts of all that a stage has run. */
function endStage({ name, command, result }: Stage, folder: string): { passed: number; failed: number } {
  const total = { passed: 0, failed: 0 };
  const problems = [...result.problems];
  for (const [file, first] of Object.entries(result.files)) {
    let second: FileResult | undefined;
    if (hasFailed(first)) {
      console.log(`── again, alone: ${relative(process.cwd(), file)}`);
      const again = runVitest(command, [file], join(folder, "again.json"));
      second = again.files[file];
      problems.push(...again.problems);
    }
    const { counts, said } = judge(file, first, second);
    total.passed += counts.passed;
    total.failed += counts.failed;
    for (const line of said) console.log(line);
  }
  for (const problem of problems) console.log(`✗ ${name}: ${problem}`);
  total.failed += problems.length;
  return total;
}

if (import.meta.main) {
  const [what, folder = "", ...rest] = process.argv.slice(2);
  const stages = readdirSync(folder).filter((file) => file.endsWith(".stage"));
  if (what === "run") {
    const [name = "", ...words] = rest;
    const end = words.indexOf("--filters");
    const command = end === -1 ? words : words.slice(0, end);
    const filters = end === -1 ? [] : words.slice(end + 1);
    const result = runVitest(command, filters, join(folder, `${name}.json`));
    const file = `${String(stages.length).padStart(2, "0")}-${name}.stage`;
    writeFileSync(join(folder, file), JSON.stringify({ name, command, result } satisfies Stage));
  } else if (what === "end") {
    const lines = stages.toSorted().map((file) => {
      const stage = JSON.parse(readFileSync(join(folder, file), "utf8")) as Stage;
      const { passed, failed } = endStage(stage, folder);
      return `${stage.name} ${passed} ${failed}\n`;
    });
    writeFileSync(join(folder, "numbers"), lines.join(""));
  } else throw new Error("run or end?");
}
