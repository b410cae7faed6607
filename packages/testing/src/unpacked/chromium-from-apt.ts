import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findLibraries, readAptSystem, unpackAptPackages } from "./apt-packages.ts";
import { type UnpackedProgram, unpackOnce, type UnpackOutcome } from "./cache-folder.ts";
import { FONT_SETTINGS } from "./font-settings.ts";

/** Pages must have letters to be read, also where no font is installed. */
const PACKAGES = [["chromium", "fonts-inter", "fonts-liberation", "fonts-dejavu-core"]];

/** Debian's Chromium and its libraries, unpacked into the cache folder without installing them. */
export async function unpackChromiumFromApt(): Promise<UnpackOutcome> {
  const system = await readAptSystem();
  if (!system) return { ok: false, reason: "no Debian" };
  if (system.id === "ubuntu") return { ok: false, reason: "Ubuntu's Chromium is a snap" };
  return unpackOnce({
    name: `chromium-${system.codename}-${system.architecture}`,
    locate: locateChromium,
    async download(work) {
      const problem = await unpackAptPackages(work, PACKAGES);
      if (problem === null) await writeFile(join(work, "root/fonts.conf"), FONT_SETTINGS);
      return problem;
    },
  });
}

async function locateChromium(folder: string): Promise<UnpackedProgram | null> {
  // Not usr/bin/chromium: that script names the place where it would be installed.
  const file = join(folder, "usr/lib/chromium/chromium");
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  return {
    file,
    env: { LD_LIBRARY_PATH: await findLibraries(folder), FONTCONFIG_FILE: join(folder, "fonts.conf") },
  };
}
