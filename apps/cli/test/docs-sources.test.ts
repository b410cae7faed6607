import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { eventually, readDocBlocks, writeDocFiles } from "@penstock/testing";
import { expect, test } from "vitest";
import { createPenstock } from "./penstock.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const SOURCE = "--conditions=@penstock/source";

/** As that of a workspace: packages are loaded from their sources, built or not. */
const VITEST_CONFIG = `
  const conditions = ["@penstock/source", "module", "node", "development|production"];
  const externalConditions = ["@penstock/source", "node", "module-sync"];
  export default { resolve: { conditions }, ssr: { resolve: { conditions, externalConditions } } };`;

/** Runs a program of Node's in a folder, and returns what it printed. */
async function runNode(cwd: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: SOURCE };
  return (await promisify(execFile)(process.execPath, args, { cwd, env })).stdout;
}

test("docs/sources.md can be followed from top to bottom", { timeout: 300_000 }, async () => {
  const blocks = readDocBlocks(join(root, "docs/sources.md"));
  const project = await mkdtemp(join(tmpdir(), "penstock-docs-"));
  await chmod(project, 0o755);
  await symlink(join(root, "node_modules"), join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
  await writeFile(join(project, "vitest.config.mjs"), VITEST_CONFIG);
  const secrets: Record<string, string> = {};
  const penstock = await createPenstock({ PENSTOCK_CONFIG: join(project, "penstock.config.ts") }, project);
  const said: string[] = [];

  /** One line of a shell block; the test knows all forms that there are. */
  async function runLine(line: string, code: number): Promise<void> {
    const [, command] = /^npm run penstock -- (.*)$/.exec(line) ?? [];
    const [, script] = /^npx node (\S+)$/.exec(line) ?? [];
    const [, tests] = /^npm test -- (\S+)$/.exec(line) ?? [];
    const [, variable = "", value = ""] = /^(\w+)=(\S+) npm start$/.exec(line) ?? [];
    if (command !== undefined) {
      const outcome = await penstock.run(command.split(" "), secrets);
      expect({ line, code: outcome.code, stderr: outcome.stderr }).toEqual({ line, code, stderr: [] });
      said.push(outcome.stdout.join("\n"));
    } else if (script !== undefined) {
      const { stdout } = await penstock.run(["sources", "url", "stripe"], secrets);
      expect(await runNode(project, script, stdout[0] ?? "")).toBe('200 {"status":"accepted"}\n');
    } else if (tests !== undefined) {
      const vitest = join(root, "node_modules/vitest/vitest.mjs");
      expect(await runNode(project, vitest, "run", "--root", project, tests)).toMatch(/Tests .*2 passed/);
    } else {
      expect(line).toMatch(/ npm start$/);
      secrets[variable] = value;
      await penstock.start(secrets);
    }
  }

  /** A line of a list of commands: there is such a command. */
  async function askForHelp(line: string): Promise<void> {
    const [, command = ""] = /^npm run penstock -- (.*?) +# \S/.exec(line) ?? [];
    const { code, stdout } = await penstock.run([...command.split(" "), "--help"]);
    const [, name] = /^Usage: .*?penstock (?:-- )?([a-z ]+?) \[options\](?! \[command\])/.exec(stdout.join("\n")) ?? [];
    expect({ line, code, name }).toEqual({
      line,
      code: 0,
      name: command.split(" ").slice(0, name?.split(" ").length).join(" "),
    });
  }

  try {
    for (const block of blocks) {
      const { language, about, text } = block;
      if (language === "ts") writeDocFiles([block], project);
      else if (language === "json") await writeFile(join(penstock.home, about), text);
      else if (language === "text") expect(said.at(-1)).toBe(text.trimEnd());
      else if (language === "ini") expect(text).toMatch(/^STRIPE_SIGNING_SECRETS=\S+\n$/);
      // Run by tests/compose.
      else if (about === "compose") expect(text).toMatch(/^(?:docker compose .*\n)+$/);
      // Asks a provider: reconcile.test.ts.
      else if (about === "provider")
        expect(text).toMatch(/^(?:npm run penstock -- reconcile \S+ --since 24h(?: --yes)?\n)+$/);
      else if (about === "overview") for (const line of text.trimEnd().split("\n")) await askForHelp(line);
      else {
        expect(language).toBe("sh");
        const home = (line: string): string => line.replace(" request.json", ` ${join(penstock.home, "request.json")}`);
        for (const line of text.trimEnd().split("\n")) await runLine(home(line), about === "refused" ? 1 : 0);
      }
    }
    await eventually(async () => {
      const { stdout } = await penstock.run(["events", "show", "evt_1"], secrets);
      expect(stdout.join("\n")).toContain("charges ✓");
    });
  } finally {
    await penstock.remove();
    await rm(project, { recursive: true, force: true });
  }
});
