import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyWorkspace, type WorkspaceCopy } from "./workspace-copy.ts";

let workspace: WorkspaceCopy;
beforeAll(async () => {
  workspace = await copyWorkspace();
});
afterAll(() => workspace.remove());

const TIMEOUT = { timeout: 900_000 };

describe("penstock new handler", () => {
  test("handlers of each form build, pass their tests and the check, and are plugged in", TIMEOUT, async () => {
    for (const args of [["new"], ["tickets", "--table"], ["tell-the-customer-relationship-management", "--effect"]]) {
      expect(await workspace.succeeds("run", "penstock", "--", "new", "handler", ...args)).toContain("Next:\n");
    }
    const config = await readFile(join(workspace.folder, "penstock.config.ts"), "utf8");
    expect(config).toContain("newHandler");
    expect(config).toContain('process.env["TELL_THE_CUSTOMER_RELATIONSHIP_MANAGEMENT_URL"]');
    const folders = ["new", "tickets", "tell-the-customer-relationship-management"];
    expect(await workspace.succeeds("test", "--", ...folders.map((name) => `packages/handlers/${name}/`))).toMatch(
      / 3 passed/,
    );
    // Builds all, before all else that it does.
    await workspace.succeeds("run", "check");
    for (const name of folders)
      expect(existsSync(join(workspace.folder, `packages/handlers/${name}/dist/index.js`))).toBe(true);
  });

  test.each([
    [["Tickets"], 2, /This name will not do: .*lower-case letters/],
    [["penstock"], 2, /This name will not do: .*schema "penstock".* is taken/],
    [["a--b"], 2, /a hyphen stands between/],
    [["both", "--table", "--effect"], 2, /Take --table or --effect/],
    [["inbox"], 1, /packages\/handlers\/inbox is there already/],
  ])("%j writes nothing and says why", TIMEOUT, async (args, code, message) => {
    const before = await readFile(join(workspace.folder, "penstock.config.ts"), "utf8");
    const outcome = await workspace.npm("run", "--silent", "penstock", "--", "new", "handler", ...args);
    expect(outcome).toEqual({ code, printed: expect.stringMatching(message) });
    expect(await readFile(join(workspace.folder, "penstock.config.ts"), "utf8")).toBe(before);
  });

  test("a configuration of another form is left as it is, and that is said", TIMEOUT, async () => {
    const config = "const handlers = []; export default { handlers };\n";
    await writeFile(join(workspace.folder, "penstock.config.ts"), config);
    const printed = await workspace.succeeds("run", "penstock", "--", "new", "handler", "other");
    expect(printed).toContain("import the handler there");
    expect(await readFile(join(workspace.folder, "penstock.config.ts"), "utf8")).toBe(config);
  });
});
