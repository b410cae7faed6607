// `npm run check`: everything that can be said about the code without running it. Each step is a command that can be run
// by itself, and all of them run whatever the others say.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** One part of the check: `command` is what Node is given to run. */
export interface Step {
  name: string;
  command: string[];
}

const program = (name: string, ...args: string[]): string[] => ["tools/run.mjs", name, ...args];

const steps: Step[] = [
  { name: "types", command: program("tsc", "-b") },
  { name: "lint", command: program("oxlint") },
  { name: "import rules", command: ["tools/import-rules.ts"] },
  { name: "names of providers", command: ["tools/provider-names.ts"] },
  { name: "unused code and dependencies", command: program("knip", "--no-config-hints") },
  { name: "licences of dependencies", command: ["tools/licences.ts"] },
  { name: "format", command: program("prettier", "--check", "--log-level", "warn", ".") },
];

/** Runs the steps, as many at once as there are processors, and says of each how it went. True when all succeeded. */
export async function runSteps(list: Step[], say: (line: string) => void): Promise<boolean> {
  const waiting = [...list];
  let passed = true;
  const worker = async (): Promise<void> => {
    for (let step = waiting.shift(); step; step = waiting.shift()) {
      const started = performance.now();
      const { ok, output } = await outcomeOf(step);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      say(`${ok ? "✓" : "✗"} ${step.name} (${seconds} s)`);
      if (!ok) say(output.trimEnd().replaceAll(/^/gm, "    "));
      passed &&= ok;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return passed;
}

/** Runs one step to its end; a program that cannot be started or is killed has failed. */
function outcomeOf({ command }: Step): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, command, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("error", (error) => resolve({ ok: false, output: error.message }));
    child.on("close", (code, signal) => {
      const output = Buffer.concat(chunks).toString();
      resolve({ ok: code === 0, output: signal ? `${output}\nended by ${signal}` : output });
    });
  });
}

if (import.meta.main) {
  const passed = await runSteps(steps, (line) => console.log(line));
  process.exitCode = passed ? 0 : 1;
}
