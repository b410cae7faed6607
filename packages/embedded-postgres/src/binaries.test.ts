import { expect, test } from "vitest";
import { findBinaries } from "./binaries.ts";

test.each([
  { platform: "win32", arch: "x64", says: "does not run on Windows" },
  { platform: "linux", arch: "riscv64", says: "no embedded Postgres for linux-riscv64" },
] as const)("$platform on $arch is refused with one clear error", async ({ platform, arch, says }) => {
  await expect(findBinaries(platform, arch)).rejects.toMatchObject({
    code: "POSTGRES_UNSUPPORTED_PLATFORM",
    message: expect.stringContaining(says),
  });
});

test("a platform whose package is not installed is reported with the package's name", async () => {
  const platform = process.platform === "darwin" ? "linux" : "darwin";
  await expect(findBinaries(platform, "arm64")).rejects.toMatchObject({
    code: expect.stringMatching(/^POSTGRES_(BINARIES_MISSING|UNSUPPORTED_PLATFORM)$/),
    message: expect.stringContaining("DATABASE_URL"),
  });
});

test("the programs of this platform are there, with their version", async () => {
  expect(await findBinaries()).toMatchObject({ major: "18", version: expect.stringMatching(/^18\.\d+/) });
});
