import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkDocTypes, readDocBlocks } from "@penstock/testing";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
// READMEs have a block or two each: one run of the compiler is enough for all.
const pages = ["README.md", "packages/handlers/*/README.md", ...globSync("docs/*.md", { cwd: root })]
  .map((page) => ({ page, blocks: globSync(page, { cwd: root }).flatMap((file) => readDocBlocks(join(root, file))) }))
  .filter(({ blocks }) => blocks.some(({ language }) => language === "ts"));

/** Whose dependencies a page's code has, where it is not the root's. */
const homes: Record<string, string> = {
  "README.md": join(root, "packages/handlers/inbox"),
  "docs/effects.md": join(root, "packages/handlers/inbox"),
  "docs/endpoints.md": join(root, "apps/cli"),
  "docs/handlers.md": join(root, "packages/handlers/inbox"),
  "docs/lanes.md": join(root, "packages/handlers/inbox"),
};

test("there are pages with code", () => {
  expect(pages.map(({ page }) => page)).toEqual(
    expect.arrayContaining(["README.md", "docs/handlers.md", "docs/sources.md", "packages/handlers/*/README.md"]),
  );
});

test.each(pages)("the TypeScript of $page compiles", async ({ page, blocks }) => {
  expect(await checkDocTypes(blocks, homes[page] ?? root, root)).toBe("");
});

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replaceAll(/^```.*?^```$/gms, "").matchAll(/^#+ (.+)$/gm);
  return new Set(Array.from(headings, ([, title = ""]) => toAnchor(title)));
}

const toAnchor = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");

test("every link to a page or a place in one leads there", () => {
  const files = globSync(["*.md", "docs/**/*.md", "{apps,packages}/**/*.md", "examples/**/*.md"], {
    cwd: root,
    exclude: (name) => name.includes("node_modules") || name.includes("dist"),
  });
  expect(files.length).toBeGreaterThan(20);
  const broken = files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    return Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, link = ""]) => link)
      .filter((link) => {
        if (/^[a-z]+:/.test(link)) return false;
        const [path = "", anchor] = link.split("#");
        const target = path === "" ? join(root, file) : join(root, dirname(file), path);
        if (!existsSync(target)) return true;
        return anchor !== undefined && !anchorsOf(readFileSync(target, "utf8")).has(anchor);
      })
      .map((link) => `${file}: ${link}`);
  });
  expect(broken).toEqual([]);
});

test("a block that does not compile is told with its file", async () => {
  const block = { language: "ts", about: "a.ts", line: 1, text: 'export const a: number = "a";\n' };
  expect(await checkDocTypes([block], root)).toMatch(/a\.ts\(1,14\): error TS2322/);
});
