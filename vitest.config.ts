import { defineConfig } from "vitest/config";

// Packages of the workspace are loaded from their sources: by Vite, by Node where Vite leaves an import to it, and by
// the processes that a test forks.
const source = "@penstock/source";
// Without `module`, which Vite has by default: what some packages offer by that name Node cannot load.
const conditions = [source, "node", "development|production"];

/** The folders that hold a package's or an app's `src` and `test`. */
const folders = "{apps/*,packages/*,packages/handlers/*}";

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: [source, "node", "module-sync"] } },
  // Where Vitest loads its global setup.
  environments: { __vitest__: { resolve: { conditions } } },
  test: {
    pool: "forks",
    execArgv: [`--conditions=${source}`],
    // A test that is left out, or passes at the second try, proves nothing.
    allowOnly: false,
    passWithNoTests: false,
    retry: 0,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [`${folders}/src/**/*.test.ts`, "sources/*.test.ts", "tools/*.test.ts"],
          testTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: [`${folders}/test/**/*.test.ts`],
          globalSetup: ["packages/testing/src/global-setup.ts", "tests/browser/harness/build-page.ts"],
          // Bounds, not expectations: a machine that is busy is no failure.
          testTimeout: 180_000,
          hookTimeout: 120_000,
          // Each worker keeps servers and child processes busy besides itself.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: "browser",
          include: ["tests/browser/*.test.ts"],
          globalSetup: ["packages/testing/src/global-setup.ts", "tests/browser/harness/build-page.ts"],
          testTimeout: 180_000,
          expect: { poll: { timeout: 60_000 } },
          // The first one may download a Chromium.
          hookTimeout: 900_000,
          // Beside the integration tests: each of these waits for its own processes most of the time.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
