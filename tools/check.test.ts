import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runSteps } from "./check.ts";
import { checkImportRules, type ImportProblem } from "./import-rules.ts";
import { forbiddenLicences, isPermissive } from "./licences.ts";
import { findProviderNames } from "./provider-names.ts";

const repository = join(import.meta.dirname, "..");
const trees: string[] = [];

/** A folder of its own with these files in it, by path; gone when the tests are through. */
function createTree(files: Record<string, string>): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "penstock-check-")));
  trees.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

afterAll(() => {
  for (const root of trees) rmSync(root, { recursive: true, force: true });
});

describe("import rules", () => {
  const folders = [
    ...[
      "schemas",
      "client",
      "sources",
      "handler-sdk",
      "engine",
      "intake",
      "queue",
      "store",
      "dispatch",
      "telemetry",
      "testing",
    ].map((name) => `packages/${name}`),
    "packages/handlers/inbox",
    "packages/handlers/billing",
    "apps/ingest",
    "apps/worker",
    "apps/console",
    "apps/cli",
  ];
  const nameOf = (folder: string): string =>
    `@penstock/${folder.replace("packages/handlers/", "handler-").replace(/^(?:apps|packages)\//, "")}`;

  /** By rule: a file that breaks this rule and no other, and what else it needs to do so. */
  const planted: Record<string, [file: string, text: string, others?: Record<string, string>]> = {
    "schemas-is-a-leaf": ["packages/schemas/src/planted.ts", `import "@penstock/telemetry";`],
    "sources-imports-schemas-only": ["packages/sources/src/planted.ts", `import "@penstock/telemetry";`],
    "handler-sdk-imports-schemas-only": ["packages/handler-sdk/src/planted.ts", `import "@penstock/telemetry";`],
    "client-imports-schemas-only": ["packages/client/src/planted.ts", `import "@penstock/telemetry";`],
    "the-page-speaks-by-the-client-only": ["apps/console/web/src/planted.ts", `import "@penstock/store";`],
    "archive-imports-store-only": ["packages/archive/src/planted.ts", `import "@penstock/queue";`],
    "dispatch-imports-schemas-only": ["packages/dispatch/src/planted.ts", `import "@penstock/telemetry";`],
    "handlers-import-the-sdk-only": ["packages/handlers/inbox/src/planted.ts", `import "@penstock/telemetry";`],
    "engine-declares-what-it-needs": ["packages/engine/src/planted.ts", `import type {} from "@penstock/store";`],
    "intake-declares-what-it-needs": ["packages/intake/src/planted.ts", `import type {} from "@penstock/queue";`],
    "only-queue-imports-bullmq-or-redis": ["packages/engine/src/redis.ts", `import "ioredis";`],
    "only-store-imports-pg": ["packages/queue/src/planted.ts", `import type {} from "pg";`],
    "only-dispatch-imports-undici": ["packages/intake/src/undici.ts", `import "undici";`],
    "kysely-in-store-and-handlers-only": ["packages/intake/src/sql.ts", `import type {} from "kysely";`],
    "store-imports-interfaces-as-types-only": ["packages/store/src/planted.ts", `import "@penstock/engine";`],
    "ingest-imports-no-handler": ["apps/ingest/src/planted.ts", `import type {} from "@penstock/engine";`],
    "handlers-are-plugged-in-by-the-config": ["apps/worker/src/planted.ts", `import "@penstock/handler-inbox";`],
    "no-app-is-imported": ["apps/cli/src/app.ts", `await import("@penstock/worker");`],
    "testing-is-for-tests": ["apps/worker/src/production.ts", `import "@penstock/testing";`],
    "tests-are-not-imported": ["apps/worker/src/tested.ts", `import "../test/some.ts";`],
    "packages-are-entered-by-their-exports": [
      "apps/worker/src/way.ts",
      `import "../../../packages/queue/src/index.ts";`,
    ],
    "no-dev-dependency-in-production": ["packages/telemetry/src/planted.ts", `import "only-for-development";`],
    "imports-resolve": ["packages/telemetry/src/nowhere.ts", `import "./not-there.ts";`],
    "no-cycles": [
      "packages/telemetry/src/cycle-a.ts",
      `import "./cycle-b.ts";`,
      { "packages/telemetry/src/cycle-b.ts": `await import("./cycle-a.ts");` },
    ],
    "ingest-reaches-no-handler": [
      "apps/ingest/src/reaching.ts",
      `import "@penstock/queue/detour";`,
      { "packages/queue/src/detour.ts": `import "@penstock/handler-sdk";` },
    ],
  };

  /** What looks like a breach and is none: nothing here may be reported. */
  const innocent: Record<string, string> = {
    "packages/store/src/types.ts": `import type {} from "@penstock/engine"; import "kysely"; import "pg";`,
    "packages/engine/src/types.ts": `import type {} from "./types-back.ts"; export type A = 1;`,
    "packages/engine/src/types-back.ts": `import type { A } from "./types.ts"; export type B = A;`,
    "packages/engine/test/some.test.ts": `import "pg"; import "kysely"; import "@penstock/testing"; import "@penstock/store";`,
    "packages/queue/src/redis.ts": `import "bullmq"; import "ioredis"; import "@penstock/schemas";`,
    "packages/dispatch/src/sender.ts": `import "undici"; import "@penstock/schemas";`,
    "packages/testing/src/servers.ts": `import "pg"; import "ioredis";`,
    "packages/handlers/inbox/src/sql.ts": `import "kysely"; import "@penstock/handler-sdk"; import "@penstock/schemas";`,
    "packages/handlers/inbox/test/inbox.test.ts": `import "@penstock/testing"; import "only-for-development";`,
    "apps/ingest/src/storing.ts": `import "@penstock/store";`,
    "apps/cli/src/start.ts": `export const entry = import.meta.resolve("@penstock/ingest/main");`,
    "apps/console/src/serving.ts": `import "@penstock/store";`,
    "apps/console/web/src/asking.ts": `import "@penstock/client"; import "@penstock/schemas";`,
    "apps/worker/test/some.ts": "",
  };

  const rules = [".dependency-cruiser.cjs", ".dependency-cruiser.runtime.cjs"].flatMap((config) => {
    const { forbidden } = createRequire(import.meta.url)(join(repository, config)) as { forbidden: { name: string }[] };
    return forbidden.map(({ name }) => name);
  });

  let problems: ImportProblem[];
  let files: number;

  beforeAll(async () => {
    const manifest = (folder: string): string =>
      JSON.stringify({
        name: nameOf(folder),
        type: "module",
        exports: {
          ".": { "@penstock/source": "./src/index.ts", default: "./dist/index.js" },
          "./*": { "@penstock/source": "./src/*.ts", default: "./dist/*.js" },
        },
        dependencies: { pg: "1", kysely: "1", bullmq: "1", ioredis: "1", undici: "1" },
        devDependencies: { "only-for-development": "1" },
      });
    const root = createTree({
      ...Object.fromEntries(folders.map((folder) => [`${folder}/package.json`, manifest(folder)])),
      ...Object.fromEntries(folders.map((folder) => [`${folder}/src/index.ts`, "export {};"])),
      ...Object.fromEntries(
        ["pg", "kysely", "bullmq", "ioredis", "undici", "only-for-development"].flatMap((name) => [
          [`node_modules/${name}/package.json`, JSON.stringify({ name, main: "index.js" })],
          [`node_modules/${name}/index.js`, ""],
        ]),
      ),
      ...innocent,
      ...Object.fromEntries(
        Object.values(planted).flatMap(([file, text, others = {}]) => [[file, text], ...Object.entries(others)]),
      ),
    });
    mkdirSync(join(root, "node_modules/@penstock"));
    for (const folder of folders)
      symlinkSync(join(root, folder), join(root, "node_modules", nameOf(folder)), "junction");
    ({ problems, files } = await checkImportRules(root));
  }, 60_000);

  test.each(rules)("a planted breach of %s is reported by that name", (rule) => {
    const [file] = planted[rule] ?? [];
    expect(problems.filter(({ from }) => from === file).map((problem) => problem.rule)).toEqual([rule]);
  });

  test("nothing is reported but what was planted", () => {
    expect(files).toBeGreaterThan(folders.length);
    expect(problems.map(({ rule, from }) => `${rule}: ${from}`).toSorted()).toEqual(
      Object.entries(planted)
        .map(([rule, [file]]) => `${rule}: ${file}`)
        .toSorted(),
    );
  });

  test("looking at no file at all is a failure", async () => {
    const { problems: found } = await checkImportRules(createTree({ "README.md": "" }));
    expect(found.map(({ rule }) => rule)).toEqual(["looked-at-nothing"]);
  });

  test("a source file that was passed over is a failure", async () => {
    const { problems: found } = await checkImportRules(createTree({ "packages/x.ts": "", "apps/x/coverage/b.ts": "" }));
    expect(new Set(found.map(({ rule, from }) => `${rule}: ${from}`))).toEqual(
      new Set(["passed-over: apps/x/coverage/b.ts"]),
    );
  });
});

describe("lint", () => {
  /** What oxlint, with this repository's configuration, says of a tree with this one file. */
  function lint(file: string, text: string): string[] {
    const config = { compilerOptions: { strict: true, module: "nodenext", types: [] }, include: ["**/*"] };
    const root = createTree({
      [file]: `declare const process: { env: Record<string, string>; once(name: string, then: () => void): void };\n${text}\nexport type Module = 1;\n`,
      "tsconfig.json": JSON.stringify(config),
    });
    cpSync(join(repository, ".oxlintrc.json"), join(root, ".oxlintrc.json"));
    const oxlint = join(repository, "node_modules/oxlint/bin/oxlint");
    const { stdout } = spawnSync(process.execPath, [oxlint, "--format", "json"], { cwd: root, encoding: "utf8" });
    const report = JSON.parse(stdout) as { number_of_files: number; diagnostics: { code: string }[] };
    expect(report.number_of_files).toBe(1);
    return report.diagnostics.map(({ code }) => code);
  }

  const production = "packages/queue/src/planted.ts";

  test.each([
    ["a floating promise", "async function f() {}\nf();", "typescript(no-floating-promises)"],
    ["a promise where none is expected", "const f = async () => 1;\nif (f()) f;", "typescript(no-misused-promises)"],
    ["an await of nothing", "await 1;", "typescript(await-thenable)"],
    [
      "a switch that forgets a case",
      `declare const x: "a" | "b";\nswitch (x) {\n  case "a":\n    break;\n}`,
      "typescript(switch-exhaustiveness-check)",
    ],
    ["a comparison that converts", "declare const x: string;\nexport const y = x == `1`;", "eslint(eqeqeq)"],
    ["a console line", "console.log(1);", "eslint(no-console)"],
    ["reading the environment", "export const x = process.env;", "eslint(no-restricted-properties)"],
    ["importing the environment", `export { env } from "node:process";`, "eslint(no-restricted-imports)"],
    ["taking the environment out of process", "export const { env } = process;", "eslint(no-restricted-properties)"],
    ["measuring by the clock of the host", "export const x = Date.now();", "eslint(no-restricted-properties)"],
    ["measuring by a date", "export const x = new Date().getTime();", "unicorn(prefer-date-now)"],
    ["a signal handler", `process.once("SIGTERM", () => {});`, "eslint(no-restricted-properties)"],
  ])("%s fails in a package", (_what, text, rule) => {
    expect(lint(production, text)).toContain(rule);
  });

  test.each(["apps/cli/src/commands/start.ts", "packages/telemetry/src/stop-on-signal.ts", "packages/engine/src/x.ts"])(
    "%s may not read the environment",
    (file) => expect(lint(file, "export const x = process.env;")).toEqual(["eslint(no-restricted-properties)"]),
  );

  test("a moment is no duration: the time of day may be kept and shown", () => {
    expect(lint(production, "export const x = new Date().toISOString();\nexport type Env = typeof process;")).toEqual(
      [],
    );
  });

  test.each(["apps/worker/src/main.ts", "apps/cli/src/main.ts", "packages/testing/src/servers.ts", "tools/x.ts"])(
    "%s may read the environment and install signal handlers",
    (file) => {
      expect(lint(file, `export const x = process.env;\nprocess.once("SIGTERM", () => {});`)).toEqual([]);
    },
  );

  test.each(["test.skip", "test.only"])("%s fails", (name) => {
    const text = `import { test } from "vitest";\n${name}("x", () => {});`;
    expect(lint("packages/queue/src/x.test.ts", text)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^vitest\(no-(?:disabled|focused)-tests\)$/)]),
    );
  });
});

describe("names of providers", () => {
  const planted = (files: Record<string, string>): string[] =>
    findProviderNames(createTree({ "apps/ingest/src/main.ts": "", ...files })).problems;

  test.each([
    ["compared with", `if (decoded.provider === "buzzbip") send();`],
    ["as the name of something", "export const DEFAULT = SIGNED_BY_BUZZBIP;"],
    ["in a comment", "// What GitHub sends, too."],
    ["written in two words", `const name = "Microsoft Graph";`],
    ["as a text, though it is a word", "const name = 'meta';"],
    ["in front of a type", `const type = "slack.message";`],
  ])("a provider %s is found, with its place and what to do", (_how, line) => {
    expect(planted({ "packages/engine/src/planted.ts": `\n${line}\n` })).toEqual([
      expect.stringMatching(/^packages\/engine\/src\/planted\.ts:2 names the provider .*ask its source/),
    ]);
  });

  test("words that are names of providers elsewhere, and what is about providers, are left alone", () => {
    const named = `export const provider = "stripe";`;
    expect(
      planted({
        "packages/store/src/words.ts": "const SLACK_MS = 1; // linear in meta.length, of Standard Webhooks",
        "packages/sources/src/stripe.ts": named,
        "packages/simulator/src/simulated.ts": named,
        "packages/schemas/src/providers.ts": named,
        "packages/engine/src/some.test.ts": named,
        "packages/handlers/inbox/src/index.ts": named,
      }),
    ).toEqual([]);
  });

  test("looking at no file at all is a failure", () => {
    expect(findProviderNames(createTree({})).problems).toHaveLength(1);
  });
});

describe("licences", () => {
  test("a dependency whose licence is not allowed is named with its licence", () => {
    const report = {
      MIT: [{ name: "good", versions: ["1.0.0"] }],
      "GPL-3.0-only": [{ name: "bad", versions: ["2.0.0"] }],
    };
    expect(forbiddenLicences(report)).toEqual([expect.stringMatching(/^bad 2\.0\.0: licence GPL-3\.0-only /)]);
  });

  test("looking at no package at all is a failure", () => {
    expect(forbiddenLicences({})).toEqual(["no package was looked at"]);
  });

  test("an exception holds for one package under one licence", () => {
    const named = (licence: string, name: string): string[] =>
      forbiddenLicences({ [licence]: [{ name, versions: [] }] });
    expect(named("MPL-2.0", "lightningcss-linux-x64-gnu")).toEqual([]);
    expect(named("MPL-2.0", "another")).toHaveLength(1);
    expect(named("GPL-3.0-only", "lightningcss")).toHaveLength(1);
  });

  test.each([
    ["MIT", true],
    ["(MIT OR GPL-3.0-only)", true],
    ["GPL-3.0-only OR (MIT AND ISC)", true],
    ["MIT AND GPL-3.0-only", false],
    ["(MIT OR ISC) AND (GPL-2.0-only OR LGPL-3.0-only)", false],
    ["GPL-2.0-only WITH Classpath-exception-2.0", false],
    ["SEE LICENSE IN LICENSE.txt", false],
    ["(MIT", false],
    ["Unknown", false],
    ["", false],
  ])("the licence %j is permissive: %s", (expression, expected) => {
    expect(isPermissive(expression)).toBe(expected);
  });
});

describe("the check as a whole", () => {
  test("fails when one step fails, shows what that step said, and runs the others", async () => {
    const lines: string[] = [];
    const passed = await runSteps(
      [
        { name: "bad", command: ["-e", "console.log('why it failed'); process.exit(3)"] },
        { name: "killed", command: ["-e", "process.kill(process.pid, 'SIGKILL')"] },
        { name: "good", command: ["-e", "console.log('nobody needs to read this')"] },
      ],
      (line) => lines.push(line),
    );
    const said = lines.join("\n");
    expect(passed).toBe(false);
    expect(said).toMatch(/✗ bad \([\d.]+ s\)\n {4}why it failed/);
    expect(said).toMatch(/✗ killed .*\n\s+ended by SIGKILL/);
    expect(said).toMatch(/✓ good/);
    expect(said).not.toContain("nobody");
  });
});
