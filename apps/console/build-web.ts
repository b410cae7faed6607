// Builds the console's page into dist/web where it is missing or older than its sources:
//
//   node apps/console/build-web.ts
//
// `npm start` runs it, and so do the images and the packages. It builds beside and then moves, so that a console that
// serves the page meanwhile has a whole one.
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const here = import.meta.dirname;
const target = join(here, "dist", "web");
const building = join(here, "dist", `.web-${process.pid}`);
const stamp = (folder: string): string => join(folder, ".built-from");

/** A hash of all that decides what is built. */
function wanted(): string {
  const hash = createHash("sha256");
  const sources = [
    ...globSync("web/**/*", { cwd: here }).map((file) => join(here, file)),
    ...globSync("../../packages/client/src/*.ts", { cwd: here }).map((file) => join(here, file)),
    ...globSync("../../packages/schemas/src/search/*.ts", { cwd: here }).map((file) => join(here, file)),
    join(here, "build-web.ts"),
    join(here, "..", "..", "pnpm-lock.yaml"),
  ].toSorted();
  for (const file of sources) {
    if (!/\.(?:tsx?|css|html|svg|json|yaml)$/.test(file)) continue;
    hash.update(file).update(readFileSync(file));
  }
  return hash.digest("hex");
}

/** The page on which the API is browsed comes with a script of its own, as its package ships it. */
async function copyScalar(assets: string): Promise<void> {
  const require = createRequire(import.meta.url);
  const manifest = join(require.resolve("@scalar/api-reference"), "..", "..", "package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  await copyFile(join(manifest, "..", "dist", "browser", "standalone.js"), join(assets, `scalar-${version}.js`));
}

/** Compressed once, here, and not for each browser. */
async function compress(folder: string): Promise<void> {
  const files = (await readdir(folder)).filter((name) => /\.(?:js|css|svg)$/.test(name));
  await Promise.all(
    files.map(async (name) => {
      const bytes = await readFile(join(folder, name));
      // The best quality takes seconds for what is large.
      const quality = bytes.length > 1_000_000 ? 5 : 11;
      const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
      await writeFile(join(folder, `${name}.br`), await promisify(brotliCompress)(bytes, { params }));
      await writeFile(join(folder, `${name}.gz`), await promisify(gzip)(bytes));
    }),
  );
}

// A test that builds it has another one, and would get React for development.
process.env["NODE_ENV"] = "production";
const from = wanted();
if (!existsSync(stamp(target)) || readFileSync(stamp(target), "utf8") !== from) {
  try {
    const { build } = await import("vite"); // which takes half a second to load
    await build({ configFile: join(here, "web", "vite.config.ts"), logLevel: "warn", build: { outDir: building } });
    const assets = join(building, "assets");
    await copyScalar(assets);
    await compress(assets);
    writeFileSync(stamp(building), from);
    rmSync(target, { recursive: true, force: true });
    renameSync(building, target);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}
