import { readFileSync } from "node:fs";
import { join } from "node:path";
import { adminRoutes } from "@penstock/schemas/admin";
import { expect, test } from "vitest";
import { toOpenApi } from "./openapi.ts";

const root = join(import.meta.dirname, "..", "..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const described = toOpenApi(adminRoutes, version) as {
  paths: Record<string, Record<string, { operationId: string; parameters?: { name: string; in: string }[] }>>;
};

// After a change of the contract: node tools/run.mjs vitest run apps/console/src/api -u
test("the description in the repository is that of the routes", async () => {
  await expect(`${JSON.stringify(described, null, 2)}\n`).toMatchFileSnapshot("../../openapi.json");
});

test("operations have names of their own, and each parameter of a path is described", () => {
  const operations = Object.entries(described.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, ...operation })),
  );
  const names = operations.map(({ operationId }) => operationId);
  expect(names).toEqual([...new Set(names)]);
  for (const { path, parameters = [] } of operations) {
    const inPath = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    expect([path, inPath]).toEqual([path, Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name)]);
  }
});
