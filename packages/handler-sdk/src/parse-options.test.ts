import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { env, type OptionsSchema, parseOptions } from "./index.ts";

/** As zod's would: whatever is no URL, or a limit that is no number, is an issue. */
const schema: OptionsSchema<{ url: string; limit: number }> = {
  safeParse(given) {
    const { url, limit } = given as { url: unknown; limit: unknown };
    const issues = [];
    if (!String(url).startsWith("https://")) issues.push({ path: ["url"], message: "must be a URL" });
    if (typeof limit !== "number") issues.push({ path: ["limit"], message: "must be a number" });
    if (issues.length > 0) return { success: false, error: { issues } };
    return { success: true, data: given as { url: string; limit: number } };
  },
};
const parse = (options: object): unknown => parseOptions("notify", schema, options);

afterEach(() => void vi.unstubAllEnvs());

test("an option is given as it is, in a variable, or in the file that a variable names", () => {
  const folder = mkdtempSync(join(tmpdir(), "penstock-options-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "url"), "https://file.example/\n");
  vi.stubEnv("OUR_URL", "https://variable.example/");
  vi.stubEnv("FILED_URL_FILE", join(folder, "url"));
  for (const [url, expected] of [
    ["https://plain.example/", "https://plain.example/"],
    [env("OUR_URL"), "https://variable.example/"],
    [env("FILED_URL"), "https://file.example/"],
  ]) {
    expect(parse({ url, limit: 5, more: { within: url } })).toEqual({
      url: expected,
      limit: 5,
      more: { within: expected },
    });
  }
});

test("all problems are told at once, by name and never by value", () => {
  vi.stubEnv("OUR_URL", "hunter2");
  expect(() => parse({ url: env("OUR_URL"), limit: "hunter2" })).toThrow(
    'handler "notify": `url` (OUR_URL) must be a URL; `limit` must be a number',
  );
  vi.stubEnv("OUR_URL", "");
  expect(() => parse({ url: env("OUR_URL"), more: { within: env("OTHERS") } })).toThrow(
    'handler "notify": `url`: OUR_URL is not set: give it, or OUR_URL_FILE, the path of a file with it; ' +
      "`more.within`: OTHERS is not set: give it, or OTHERS_FILE, the path of a file with it; `limit` must be a number",
  );
});

test("what stands for a variable shows its name and not its value", () => {
  vi.stubEnv("OUR_URL", "hunter2");
  const url = env("OUR_URL");
  expect(`${inspect(url)} ${JSON.stringify(url)}`).not.toContain("hunter2");
  expect(inspect(url)).toContain("OUR_URL");
});
