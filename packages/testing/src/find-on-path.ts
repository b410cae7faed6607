import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** The full path of a program on the PATH, or null. */
export async function findOnPath(name: string): Promise<string | null> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const file = join(folder, name);
    const isThere =
      folder !== "" &&
      (await access(file, constants.X_OK)
        .then(() => true)
        .catch(() => false));
    if (isThere) return file;
  }
  return null;
}
