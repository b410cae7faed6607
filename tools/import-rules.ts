import { globSync } from "node:fs";
import { join, sep } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractOptions from "dependency-cruiser/config-utl/extract-depcruise-options";

const repository = join(import.meta.dirname, "..");
const configs = [".dependency-cruiser.cjs", ".dependency-cruiser.runtime.cjs"];

/** One breach of an import rule: `rule` is its name in the configuration. */
export interface ImportProblem {
  rule: string;
  from: string;
  message: string;
}

/**
 * Checks the imports of all apps and packages below `root` against this repository's import rules.
 *
 * Besides the breaches it reports every source file that dependency-cruiser passed over: with a TypeScript that it cannot
 * use it sees no modules at all and calls that a success.
 */
export async function checkImportRules(root: string): Promise<{ files: number; problems: ImportProblem[] }> {
  const files = globSync("{apps,packages}/**/*.{ts,tsx}", {
    cwd: root,
    exclude: (path) => /(?:^|[\\/])(?:node_modules|dist)$/.test(path),
  }).map((file) => file.replaceAll(sep, "/"));
  const problems: ImportProblem[] = [];
  if (files.length === 0) problems.push({ rule: "looked-at-nothing", from: root, message: "there is no source file" });
  for (const config of files.length === 0 ? [] : configs) {
    const options = await extractOptions(join(repository, config));
    const { output } = await cruise(["apps", "packages"], { ...options, baseDir: root });
    const { modules, summary } = output as ICruiseResult;
    for (const { rule, from, to, cycle, via } of summary.violations) {
      const way = [from, ...(cycle ?? via ?? [{ name: to }]).map((step) => step.name)].join(" → ");
      const comment = options.ruleSet?.forbidden?.find(({ name }) => name === rule.name)?.comment;
      problems.push({ rule: rule.name, from, message: `${way}\n    ${comment}` });
    }
    const seen = new Set(modules.map(({ source }) => source));
    for (const file of files.filter((name) => !seen.has(name))) {
      problems.push({ rule: "passed-over", from: file, message: `${file} was not looked at by ${config}` });
    }
  }
  return { files: files.length, problems };
}

if (import.meta.main) {
  const { files, problems } = await checkImportRules(repository);
  for (const { rule, message } of problems) console.log(`${rule}: ${message}`);
  console.log(`${files} files, ${problems.length} breaches of import rules`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
