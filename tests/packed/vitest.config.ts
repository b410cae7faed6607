import { defineConfig, mergeConfig } from "vitest/config";
import root from "../../vitest.config.ts";

const { projects: _none, ...test } = root.test ?? {};

export default mergeConfig(
  { ...root, test },
  defineConfig({ test: { include: ["tests/packed/*.test.ts"], testTimeout: 600_000, hookTimeout: 300_000 } }),
);
