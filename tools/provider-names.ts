// Product code names no provider: what hangs on one is a property of its source. Comments count: who reads the engine
// should not have to know a provider.
import { globSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { PROVIDERS } from "../packages/schemas/src/providers.ts";

const repository = join(import.meta.dirname, "..");

/** Where providers may be named: in what is about them and in what is for tests. */
const MAY_NAME_ONE = [
  /^packages\/(?:sources|simulator|schemas)\//,
  /^packages\/(?:testing|test-postgres|handler-testing|bench|chaos)\//,
  /\.test\.ts$/,
];

/** Names that are words as well: only as a text of their own, or in front of a type, are they providers. */
const WORDS: ReadonlySet<string> = new Set(["linear", "meta", "slack", "square", "standard-webhooks", "zoom"]);

const PATTERNS = PROVIDERS.map((provider) => ({
  provider,
  pattern: WORDS.has(provider)
    ? new RegExp(`["'\`]${provider}["'\`.]`)
    : new RegExp(provider.replaceAll("-", "[-_ ]?"), "i"),
}));

/** Every line of product code below `root` that names a provider, as a sentence that says where and what to do instead. */
export function findProviderNames(root: string): { files: number; problems: string[] } {
  const files = globSync("{apps,packages}/*/src/**/*.ts", { cwd: root })
    .map((file) => file.replaceAll(sep, "/"))
    .filter((file) => !MAY_NAME_ONE.some((place) => place.test(file)));
  const problems = files.flatMap((file) =>
    readFileSync(join(root, file), "utf8")
      .split("\n")
      .flatMap((line, at) =>
        PATTERNS.filter(({ pattern }) => pattern.test(line)).map(
          ({ provider }) =>
            `${file}:${at + 1} names the provider ${provider}: ask its source for what hangs on it (a property of Source in packages/sources/src/define-source.ts), or take a constant of packages/schemas or packages/simulator`,
        ),
      ),
  );
  return { files: files.length, problems: files.length === 0 ? ["there is no source file to look at"] : problems };
}

if (import.meta.main) {
  const { files, problems } = findProviderNames(repository);
  for (const problem of problems) console.log(problem);
  console.log(`${files} files, ${problems.length} provider names`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
