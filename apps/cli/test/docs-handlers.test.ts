import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DocBlock, eventually, readDocBlocks } from "@penstock/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyWorkspace, type WorkspaceCopy } from "./workspace-copy.ts";

const page = fileURLToPath(new URL("../../../docs/handlers.md", import.meta.url));

let workspace: WorkspaceCopy;
let stop = (): Promise<void> => Promise.resolve();
beforeAll(async () => {
  workspace = await copyWorkspace();
});
afterAll(async () => {
  await stop();
  await workspace.remove();
});

const penstock = (...args: string[]): Promise<string> =>
  workspace.succeeds("run", "--silent", "penstock", "--", ...args);

async function write({ about, text }: DocBlock): Promise<void> {
  const file = join(workspace.folder, about);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** The lines of a shell block, each of which is `npm …`. */
async function run({ text }: DocBlock): Promise<void> {
  for (const line of text.trimEnd().split("\n")) {
    const [program, ...args] = line.split(" ");
    expect(program).toBe("npm");
    const { code, printed } = await workspace.npm(...args);
    // Its next try may have been sooner than the command.
    const inTime = line.includes("deliveries retry") && printed.includes("is succeeded, and retry takes");
    // There is no history here: the first event came after the handler.
    const nothing = line.includes("replay create") && printed.includes("Nothing matches");
    if (code !== 0 && !inTime && !nothing) throw new Error(`${line} ended with ${code}:\n${printed}`);
  }
}

test("docs/handlers.md can be followed from top to bottom", { timeout: 900_000 }, async () => {
  const seen = { fails: 0, starts: 0 };
  for (const block of readDocBlocks(page)) {
    const { language, about, text } = block;
    if (language === "ts" && about.endsWith("migrations/0001-messages.ts")) {
      expect(await readFile(join(workspace.folder, about), "utf8")).toBe(text);
    } else if (language === "ts" || language === "json") {
      if (about !== "") await write(block);
    } else if (about === "start") {
      await stop();
      stop = await workspace.start();
      seen.starts++;
    } else if (about === "fails") {
      const { code, printed } = await workspace.npm(...text.trimEnd().split(" ").slice(1));
      expect(code).toBe(1);
      expect(printed).toContain("The story so far:");
      expect(printed).toMatch(/try 1 failed: DatabaseError: .*violates check constraint/);
      seen.fails++;
    } else if (about === "compose") {
      // Run by tests/compose.
      expect(text).toMatch(/^(?:docker compose .*\n)+$/);
    } else {
      expect(language).toBe("sh");
      await run(block);
    }
  }
  expect(seen).toEqual({ fails: 1, starts: 2 });
  await eventually(async () => {
    expect(JSON.parse(await penstock("deliveries", "show", "evt_urgent", "tickets", "--json"))).toMatchObject({
      state: "succeeded",
    });
  });
  expect(await workspace.succeeds("test", "--", "packages/handlers/notify")).toMatch(/1 passed/);
});
