import { globSync } from "node:fs";
import { join } from "node:path";
import { checkDocTypes, readDocBlocks } from "@penstock/testing";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
// READMEs have a block or two each: one run of the compiler is enough for all.
const pages = ["packages/handlers/*/README.md", ...globSync("docs/*.md", { cwd: root })]
  .map((page) => ({ page, blocks: globSync(page, { cwd: root }).flatMap((file) => readDocBlocks(join(root, file))) }))
  .filter(({ blocks }) => blocks.some(({ language }) => language === "ts"));

/** Whose dependencies a page's code has, where it is not the root's. */
const homes: Record<string, string> = {
  "docs/endpoints.md": join(root, "apps/cli"),
  "docs/handlers.md": join(root, "packages/handlers/inbox"),
};

test("there are pages with code", () => {
  expect(pages.map(({ page }) => page)).toEqual(
    expect.arrayContaining(["docs/handlers.md", "docs/sources.md", "packages/handlers/*/README.md"]),
  );
});

test.each(pages)("the TypeScript of $page compiles", async ({ page, blocks }) => {
  expect(await checkDocTypes(blocks, homes[page] ?? root, root)).toBe("");
});

test("a block that does not compile is told with its file", async () => {
  const block = { language: "ts", about: "a.ts", line: 1, text: 'export const a: number = "a";\n' };
  expect(await checkDocTypes([block], root)).toMatch(/a\.ts\(1,14\): error TS2322/);
});
