import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { findProject } from "../src/project.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "penstock-project-"));
  await mkdir(join(folder, "outer", "inner", "deep"), { recursive: true });
  await writeFile(join(folder, "outer", "pnpm-workspace.yaml"), "");
  await writeFile(join(folder, "outer", "inner", "penstock.config.ts"), "");
  return () => rm(folder, { recursive: true });
});

test.each([
  ["outer", "outer"],
  ["outer/inner", "outer/inner"],
  ["outer/inner/deep", "outer/inner"],
])("in %s the project is %s", (cwd, root) => {
  expect(findProject({ cwd: join(folder, cwd), env: {} })).toEqual({
    root: join(folder, root),
    home: join(folder, root, ".penstock"),
  });
});

test("PENSTOCK_HOME moves what belongs to this machine, not the project", () => {
  const env = { PENSTOCK_HOME: "elsewhere" };
  expect(findProject({ cwd: join(folder, "outer"), env })).toEqual({
    root: join(folder, "outer"),
    home: join(folder, "outer", "elsewhere"),
  });
});

test("outside any project that is told, unless PENSTOCK_HOME says where to be", () => {
  expect(() => findProject({ cwd: folder, env: {} })).toThrow("inside the project");
  expect(findProject({ cwd: folder, env: { PENSTOCK_HOME: "/home" } })).toEqual({ root: folder, home: "/home" });
});
