import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

/** A fenced code block of a page: ```` ```ts sources/acme.ts ```` is of the language `ts` and about that file. */
export interface DocBlock {
  /** What stands after the fence, e.g. `ts`. */
  readonly language: string;
  /** What stands after the language: the file that the block is, or anything else that the page's test knows. */
  readonly about: string;
  readonly text: string;
  /** Of its fence, from 1. */
  readonly line: number;
}

/** The fenced blocks of a Markdown file, in order. */
export function readDocBlocks(file: string): DocBlock[] {
  const blocks: DocBlock[] = [];
  let open: { language: string; about: string; line: number; lines: string[] } | null = null;
  for (const [at, line] of readFileSync(file, "utf8").split("\n").entries()) {
    const [, info] = /^```(.*)$/.exec(line) ?? [];
    if (info === undefined) open?.lines.push(line);
    else if (open === null) {
      const [language = "", ...about] = info.trim().split(/\s+/);
      open = { language, about: about.join(" "), line: at + 1, lines: [] };
    } else {
      const { lines, ...block } = open;
      blocks.push({ ...block, text: `${lines.join("\n")}\n` });
      open = null;
    }
  }
  return blocks;
}

/** Writes the blocks that are files into a folder, in order: a later block of the same file replaces an earlier one. */
export function writeDocFiles(blocks: readonly DocBlock[], folder: string): void {
  for (const { about, text } of blocks.filter(({ language, about }) => language === "ts" && about !== "")) {
    mkdirSync(dirname(join(folder, about)), { recursive: true });
    writeFileSync(join(folder, about), text);
  }
}

/**
 * Type-checks the TypeScript blocks of a page, and returns what the compiler said, "" where all is well. A block without a
 * file is a module of its own; one whose file was there before is checked along with what the others are by then. Imports
 * are resolved from `home`, a folder of the workspace, below which nothing is left behind.
 */
export async function checkDocTypes(blocks: readonly DocBlock[], home: string, root = home): Promise<string> {
  const folder = join(home, "node_modules", ".cache", "docs", String(process.pid));
  const typed = blocks.filter(({ language }) => language === "ts");
  if (typed.length === 0) throw new Error("there is no block of TypeScript to check");
  // A state of the project for each time that a file of it is written anew.
  const states: DocBlock[][] = [[]];
  for (const block of typed) {
    const state = states.at(-1) ?? [];
    const file = block.about === "" ? { ...block, about: `line-${block.line}.ts` } : block;
    const others = state.filter(({ about }) => about !== file.about);
    if (others.length === state.length) state.push(file);
    else states.push([...others, file]);
  }
  try {
    for (const [at, state] of states.entries()) writeDocFiles(state, join(folder, `state-${at}`));
    const options = {
      composite: false,
      declaration: false,
      declarationMap: false,
      sourceMap: false,
      noEmit: true,
      rewriteRelativeImportExtensions: false,
      typeRoots: [join(root, "node_modules", "@types")],
    };
    const config = { extends: join(root, "tsconfig.base.json"), compilerOptions: options, include: ["**/*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
    const run = promisify(execFile)(process.execPath, [compiler, "-p", folder, "--pretty", "false"]);
    return await run.then(
      () => "",
      (error: unknown) => (error as { stdout?: string }).stdout || String(error),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
