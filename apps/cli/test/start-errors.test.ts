import { mkdtemp, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTestDatabase, startProcess } from "@penstock/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPenstock } from "./penstock.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const WORKER = new URL("../../worker/src/main.ts", import.meta.url);

/** A project of a user's, with one file for each way to be wrong. */
let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "penstock-wrong-"));
  await symlink(join(root, "node_modules"), join(project, "node_modules"));
  await writeFile(join(project, "package.json"), '{"type":"module"}');
});
afterAll(() => rm(project, { recursive: true, force: true }));

const handler = (name: string, more = ""): string =>
  `defineHandler({ name: "${name}", on: ["message.received"], handle() {}, ${more} })`;
const plugged = (...handlers: string[]): string => `
import { defineConfig, defineHandler } from "@penstock/handler-sdk";
export default defineConfig({ handlers: [${handlers.join(", ")}] });`;

const WRONG: [why: string, files: Record<string, string>, says: RegExp][] = [
  [
    "a handler throws while it is loaded",
    {
      "penstock.config.ts": `import "./handlers/tickets.ts";${plugged()}`,
      "handlers/tickets.ts": '\nthrow new Error("there is no ticket system");',
    },
    /penstock\.config\.ts could not be loaded: there is no ticket system \(\S*handlers\/tickets\.ts:2\)$/,
  ],
  [
    "a handler does not parse",
    {
      "penstock.config.ts": `import "./handlers/tickets.ts";${plugged()}`,
      "handlers/tickets.ts": "export const handle = (;",
    },
    /penstock\.config\.ts could not be loaded: .*Expression expected.*\(\S*handlers\/tickets\.ts:1\)$/,
  ],
  [
    "a handler's package is missing",
    { "penstock.config.ts": `import "@penstock/handler-nowhere";${plugged()}` },
    /penstock\.config\.ts could not be loaded: Cannot find package '@penstock\/handler-nowhere' imported from \S+penstock\.config\.ts$/,
  ],
  [
    "what is listed is no handler",
    { "penstock.config.ts": plugged(handler("one"), "undefined") },
    /could not be loaded: handlers\[1\] is not a handler: list what defineHandler\(\) returned$/,
  ],
  [
    "two handlers have one name",
    { "penstock.config.ts": plugged(handler("tickets"), handler("tickets", 'schema: "other"')) },
    /could not be loaded: two handlers are named tickets: give one of them another name$/,
  ],
  [
    "a handler subscribes to a type that does not exist",
    { "penstock.config.ts": plugged(handler("tickets", 'on: ["message.read"]')) },
    /could not be loaded: handler "tickets": unknown event type message\.read; known are message\.received, /,
  ],
  [
    "a handler subscribes to a type that no source sends",
    { "penstock.config.ts": plugged(handler("tickets", 'on: ["github.push"]')) },
    /handler tickets subscribes to github\.push, which no source sends: penstock\.sources\.ts lists buzzbip$/,
  ],
];

describe.each(WRONG)("when %s", (why, files, says) => {
  let config: string;
  beforeAll(async () => {
    const folder = join(project, why.replaceAll(/\W+/g, "-"));
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), text);
    }
    config = join(folder, "penstock.config.ts");
  });

  test("`penstock start` says so in one line and starts nothing", async () => {
    const penstock = await createPenstock({ PENSTOCK_CONFIG: config });
    try {
      const { code, stdout, stderr } = await penstock.run(["start"]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
      expect(withoutHeading(stderr)).toEqual([expect.stringMatching(says)]);
      expect(await readdir(penstock.home).catch(() => [])).toEqual([]);
    } finally {
      await penstock.remove();
    }
  });

  test("a worker says so in one line", async () => {
    const env = { DATABASE_URL: "postgres://127.0.0.1:1/nowhere", PENSTOCK_CONFIG: config };
    const worker = startProcess({ file: WORKER, env, cwd: root, name: "worker" });
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(withoutHeading(worker.stderr)).toEqual([expect.stringMatching(says)]);
  });
});

test("a worker whose handler's migrations are behind names them, and what applies them", async () => {
  const config = join(project, "penstock.config.ts");
  const migrations = 'migrations: { "0001-tickets": { up: async () => {} } }';
  const { url } = await createTestDatabase();
  const penstock = await createPenstock({ PENSTOCK_CONFIG: config, DATABASE_URL: url });
  const start = () => startProcess({ file: WORKER, env: { DATABASE_URL: url, PENSTOCK_CONFIG: config }, cwd: root });
  try {
    await writeFile(config, plugged(handler("tickets", migrations)));
    const others = join(project, "others.ts");
    await writeFile(others, plugged());
    expect((await penstock.run(["migrate"], { PENSTOCK_CONFIG: others })).code).toBe(0);
    const behind = start();
    expect(await behind.exited).toEqual({ code: 1, signal: null });
    expect(behind.stderr).toEqual([
      "worker could not start: the database is behind by 1 migration(s): tickets/0001-tickets. Run `penstock migrate` first.",
    ]);
    const { stdout } = await penstock.run(["migrate"]);
    expect(stdout).toEqual(["applied tickets/0001-tickets"]);
    const worker = start();
    await worker.waitForLine(/worker ready/, 60_000);
    worker.kill();
    await worker.exited;
  } finally {
    await penstock.remove();
  }
});

/** ConfigError tells all problems at once, below a line that counts them. */
function withoutHeading(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => !/problem:?$|^\s*$/.test(line));
}
