import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { withClient } from "@penstock/test-postgres";
import { eventually } from "@penstock/testing";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packAll } from "../../tools/pack.ts";

const repository = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "penstock-packed-"));
chmodSync(folder, 0o755); // as root, Postgres runs as another user inside it
const own = join(folder, "own-repository");

let packed: Record<string, string>;
beforeAll(async () => {
  cpSync(join(repository, "examples/own-repository"), own, {
    recursive: true,
    filter: (path) => !/(?:node_modules|vendor|\.penstock)$/.test(path),
  });
  packed = await packAll(join(own, "vendor"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

test("what the example depends on is what is packed", () => {
  const { overrides } = JSON.parse(readFileSync(join(own, "package.json"), "utf8")) as {
    overrides: Record<string, string>;
  };
  const files = Object.entries(packed).map(([name, file]) => [name, file.replace(`${own}/`, "file:")]);
  expect(overrides).toEqual(Object.fromEntries(files));
});

test("publint and Are The Types Wrong find nothing in any package", async () => {
  const found: string[] = [];
  for (const [name, file] of Object.entries(packed)) {
    const data = readFileSync(file);
    const tarball = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
    found.push(...messages.map((message) => `${name}: publint: ${formatMessage(message, pkg, { color: false })}`));
    const { problems = [] } = (await checkPackage(createPackageFromTarballData(data))) as {
      problems?: readonly { kind: string; resolutionKind?: string; entrypoint?: string }[];
    };
    // The packages are ES modules alone: what require() or a resolution without `exports` would find is nobody's matter.
    const ours = problems.filter(
      ({ kind, resolutionKind }) =>
        kind !== "CJSResolvesToESM" && resolutionKind !== "node10" && resolutionKind !== "node16-cjs",
    );
    found.push(...ours.map((problem) => `${name}: attw: ${JSON.stringify(problem)}`));
  }
  expect(found).toEqual([]);
});

test("no package names a folder of the machine that packed it", async () => {
  for (const file of Object.values(packed)) {
    const { stdout } = await promisify(execFile)("tar", ["-xOzf", file], { maxBuffer: 64 * 1024 * 1024 });
    expect(stdout).toContain('"license": "MIT"');
    expect(stdout.includes(repository)).toBe(false);
  }
});

describe("a repository of a user's own", () => {
  const { NODE_OPTIONS: _, VITEST: __, ...inherited } = process.env;
  // Its own Node, which `npm run` puts first.
  const PATH = inherited["PATH"]?.split(":").filter((part) => !part.startsWith(repository));
  const env = { ...inherited, PATH: PATH?.join(":"), NO_COLOR: "1", INGEST_PORT: "0", TEST_DATABASE_URL: "" };

  async function npm(...args: string[]): Promise<string> {
    try {
      const { stdout } = await promisify(execFile)("npm", args, { cwd: own, env, maxBuffer: 16 * 1024 * 1024 });
      return stdout;
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`npm ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
    }
  }

  test("is installed from the packages, and its types are right down to those of the packages", async () => {
    await npm("install", "--no-audit", "--no-fund");
    await npm("run", "check");
    const tsconfig = readFileSync(join(own, "tsconfig.json"), "utf8");
    const strict = join(own, "tsconfig.strict.json");
    writeFileSync(
      strict,
      tsconfig.replace('"skipLibCheck": true', '"skipLibCheck": false').replace('"*.ts"', '"penstock.*.ts"'),
    );
    await npm("exec", "--", "tsc", "-p", strict);
  });

  test("passes its test", async () => {
    expect(await npm("test")).toMatch(/1 passed/);
  });

  test("is started; an event that is sent has taken effect in the handler's table", async () => {
    const start = spawn("npm", ["start"], { cwd: own, env, detached: true, stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(start, "exit");
    let printed = "";
    start.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    try {
      await eventually(() => expect(printed).toContain("Ctrl-C"), { timeoutMs: 120_000 });
      await npm("run", "penstock", "--", "send", "message.received");
      await eventually(async () => {
        const listed = await npm("run", "--silent", "penstock", "--", "deliveries", "list", "--json");
        expect(JSON.parse(listed)).toMatchObject({ subscriber: "tickets", state: "succeeded" });
      });
      const url = (await npm("run", "--silent", "penstock", "--", "db", "url")).trim();
      expect(
        await withClient(
          url,
          async (client) => (await client.query("SELECT first_message FROM tickets.tickets")).rows as unknown[],
        ),
      ).toEqual([{ first_message: "Hello, I need help with my order" }]);
    } finally {
      process.kill(-start.pid!, "SIGTERM");
      await exited;
    }
  });
});
