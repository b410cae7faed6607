import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** Licences (SPDX identifiers) that ask for no more than their own notice to be kept. */
const permissive = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PostgreSQL",
  "Python-2.0",
  "Unlicense",
  "Zlib",
]);

/** Packages let through in spite of their licence, each with the reason. */
const exceptions: Record<string, { licence: string; reason: string }> = {
  "axe-core": { licence: "MPL-2.0", reason: "looks at pages in tests, unmodified and not distributed" },
  "humanize-number": { licence: "Unknown", reason: "MIT by its readme, a part of the S3 server for tests" },
  lightningcss: { licence: "MPL-2.0", reason: "a part of Vite, used by the tests, unmodified and not distributed" },
  "starkbank-ecdsa": { licence: "MIT License", reason: "MIT by another name, a part of SendGrid's library for tests" },
};

/** What `pnpm licenses list --json` prints: packages by licence. */
export type LicenceReport = Record<string, { name: string; versions: string[] }[]>;

/**
 * True when an SPDX licence expression can be satisfied by permissive licences alone: any side of an OR (the choice is
 * ours), both sides of an AND.
 */
export function isPermissive(expression: string): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  const alternatives = (): boolean => {
    let result = all();
    while (tokens[0] === "OR") {
      tokens.shift();
      const next = all();
      result ||= next;
    }
    return result;
  };
  const all = (): boolean => {
    let result = one();
    while (tokens[0] === "AND") {
      tokens.shift();
      const next = one();
      result &&= next;
    }
    return result;
  };
  const one = (): boolean => {
    const token = tokens.shift();
    if (token !== "(") return permissive.has(token ?? "");
    const result = alternatives();
    return tokens.shift() === ")" && result;
  };
  // What is left over is no part of an expression ("SEE LICENSE IN …", "… WITH …"): a human has to look.
  return alternatives() && tokens.length === 0;
}

/** Every package whose licence is not allowed, a line each; a report without packages is a problem too. */
export function forbiddenLicences(report: LicenceReport): string[] {
  const entries = Object.entries(report).flatMap(([licence, packages]) =>
    packages.map(({ name, versions }) => ({ licence, name, version: versions.join(", ") })),
  );
  if (entries.length === 0) return ["no package was looked at"];
  return entries
    .filter(({ licence, name }) => !isPermissive(licence) && !isException(name, licence))
    .map(({ licence, name, version }) => `${name} ${version}: licence ${licence} is not on the list of allowed ones`);
}

/** A package's platform binaries (`lightningcss-linux-x64-gnu`) share its exception. */
function isException(name: string, licence: string): boolean {
  return Object.entries(exceptions).some(
    ([exempt, { licence: known }]) => licence === known && (name === exempt || name.startsWith(`${exempt}-`)),
  );
}

async function installedLicences(): Promise<LicenceReport> {
  const root = join(import.meta.dirname, "..");
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { packageManager: string };
  const command = `npx --yes ${manifest.packageManager} --recursive licenses list --json`;
  const { stdout } = await promisify(execFile)(command, { cwd: root, shell: true, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as LicenceReport;
}

if (import.meta.main) {
  const report = await installedLicences();
  const problems = forbiddenLicences(report);
  for (const problem of problems) console.log(problem);
  console.log(`${Object.values(report).flat().length} packages, ${problems.length} with a licence that is not allowed`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
