import { defineConfig, mergeConfig } from "vitest/config";
import root from "../../vitest.config.ts";

const { projects: _none, ...test } = root.test ?? {};

export default mergeConfig(
  { ...root, test },
  defineConfig({
    test: {
      include: ["tests/compose/*.test.ts"],
      testTimeout: 180_000,
      hookTimeout: 420_000,
      // Each test goes on from where the one before has left the system.
      bail: 1,
      // Both build images.
      fileParallelism: false,
    },
  }),
);
