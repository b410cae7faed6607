import { globSync } from "node:fs";
import { join } from "node:path";
import { checkDocTypes, readDocBlocks } from "@penstock/testing";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const pages = globSync("docs/*.md", { cwd: root })
  .map((page) => ({ page, blocks: readDocBlocks(join(root, page)) }))
  .filter(({ blocks }) => blocks.some(({ language }) => language === "ts"));

test("there are pages with code", () => {
  expect(pages.map(({ page }) => page)).toContain("docs/sources.md");
});

test.each(pages)("the TypeScript of $page compiles", async ({ blocks }) => {
  expect(await checkDocTypes(blocks, root)).toBe("");
});

test("a block that does not compile is told with its file", async () => {
  const block = { language: "ts", about: "a.ts", line: 1, text: 'export const a: number = "a";\n' };
  expect(await checkDocTypes([block], root)).toMatch(/a\.ts\(1,14\): error TS2322/);
});
