import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@penstock/schemas";
import { afterAll, expect, test } from "vitest";
import { LoadSourcesError, loadSources } from "./load-sources.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-sources-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A project whose file exports this; its innermost folder. */
function project(name: string, text: string, file = "penstock.sources.ts"): string {
  const inner = join(folder, name, "inner");
  mkdirSync(inner, { recursive: true });
  writeFileSync(join(folder, name, file), text);
  return inner;
}

const entry = JSON.stringify(new URL("index.ts", import.meta.url).href);
const good = `import { buzzbip, defineSources } from ${entry};
export default defineSources({ buzzbip: buzzbip() });`;

test("the nearest file is taken, or the one that is named", async () => {
  for (const sources of [
    await loadSources(undefined, project("near", good)),
    await loadSources(null, project("built", good, "penstock.sources.js")),
    await loadSources("../named.ts", project("named", good, "named.ts")),
  ]) {
    expect(sources.list.map(({ name }) => name)).toEqual(["buzzbip"]);
  }
});

test.each([
  ["a file that is not there", "nowhere.ts", good, /nowhere\.ts does not exist: check PENSTOCK_SOURCES/],
  ["a file that does not load", null, "throw new Error('because')", /could not be loaded: because/],
  ["another export", null, "export default {}", /must export defineSources/],
])("%s is told with its name", async (what, path, text, message) => {
  const loading = loadSources(path, project(what, text));
  await expect(loading).rejects.toThrow(LoadSourcesError);
  await expect(loading).rejects.toThrow(message);
});

test("what is wrong with sources is told all at once", async () => {
  const wrong = good.replace("buzzbip()", "buzzbip({ a: 1, b: 2 })");
  const loading = loadSources(null, project("wrong", wrong));
  await expect(loading).rejects.toThrow(ConfigError);
  await expect(loading).rejects.toThrow(/2 problems:[^]*source buzzbip: there is no option `a`[^]*`b`/);
});
