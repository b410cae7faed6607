import type { Diagnosis } from "@penstock/doctor";
import { createTestDatabase, eventually, startTlsPostgres } from "@penstock/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

let penstock: Penstock;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  penstock = await createPenstock({ DATABASE_URL: url });
});
afterAll(() => penstock.remove());

test("a database that was never migrated is told with what to run; migrate says what it did, and does it once", async () => {
  const before = await penstock.call(["events", "list", "--json"]);
  expect({ code: before.code, stdout: before.stdout }).toEqual({ code: 1, stdout: [] });
  expect(before.stderr).toEqual([expect.stringContaining("penstock migrate")]);

  const first = await penstock.call(["migrate"]);
  expect({ code: first.code, stdout: first.stdout.slice(0, 1) }).toEqual({
    code: 0,
    stdout: ["applied penstock/0001-baseline"],
  });
  expect((await penstock.call(["migrate"])).stdout).toEqual(["up to date"]);
  expect(parseLines((await penstock.call(["migrate", "--json"])).stdout)).toEqual([{ applied: [] }]);

  const after = await penstock.call(["events", "list", "--json"]);
  expect(after).toEqual({ code: 0, stdout: [], stderr: [] });
});

test("a queue's database that cannot hold every text is refused before anything is applied in either", async () => {
  const { url } = await createTestDatabase();
  const queue = await createTestDatabase({ encoding: "SQL_ASCII" });
  const env = { DATABASE_URL: url, QUEUE_URL: queue.url };
  const { code, stderr } = await penstock.call(["migrate"], env);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: [expect.stringMatching(/has the encoding SQL_ASCII.*set QUEUE_URL to it/)],
  });
  expect((await penstock.call(["events", "list"], env)).stderr.join()).toContain("penstock/0001-baseline");
});

test.each([
  ["that nobody listens at", "postgres://user:s3cr3t@127.0.0.1:1/db", /not available.*ECONNREFUSED/],
  ["whose name has several addresses", "postgres://user:s3cr3t@localhost:1/db", /not available.*ECONNREFUSED/],
  ["of another kind", "mysql://user:s3cr3t@localhost/db", /DATABASE_URL must be/],
])("a database %s is told without its password", async (_, url, reason) => {
  const { code, stdout, stderr } = await penstock.call(["events", "list"], { DATABASE_URL: url });
  expect({ code, stdout }).toEqual({ code: 1, stdout: [] });
  expect(stderr.join("\n")).toMatch(reason);
  expect(stderr.join("\n")).not.toContain("s3cr3t");
});

test("a database whose certificate is of an authority of its own is told with the ways out, and one of them works", async () => {
  const server = await startTlsPostgres();
  const env = { DATABASE_URL: `${server.url}?sslmode=require` };
  const refused = await eventually(async () => {
    const outcome = await penstock.call(["migrate"], env);
    expect(outcome.stderr.join()).toContain("certificate"); // once the server has read its settings again
    return outcome;
  });
  expect({ code: refused.code, stderr: refused.stderr }).toEqual({
    code: 1,
    stderr: [expect.stringMatching(/sslrootcert=.*NODE_EXTRA_CA_CERTS=/)],
  });
  expect(refused.stderr.join()).not.toContain(server.password);
  const trusting = await penstock.run(["migrate"], { ...env, NODE_EXTRA_CA_CERTS: server.authority });
  expect(trusting).toMatchObject({
    code: 0,
    stdout: expect.arrayContaining(["applied penstock/0001-baseline"]) as unknown,
  });
});

test("without DATABASE_URL and without a start, the way to one is told", async () => {
  const { code, stderr } = await penstock.call(["db", "url"], { DATABASE_URL: "" });
  expect({ code, stderr }).toEqual({ code: 1, stderr: [expect.stringContaining("npm start")] });
});

test("start uses the database of DATABASE_URL, and the other commands are told to do so too", async () => {
  const start = await penstock.start();
  expect(start.stdout.join("\n")).toMatch(/database +DATABASE_URL/);
  const { stdout } = await penstock.call(["send", "contact.created"]);
  expect(stdout.join()).toContain("picky succeeded");
  const forgotten = await penstock.call(["events", "list"], { DATABASE_URL: "" });
  expect({ code: forgotten.code, stderr: forgotten.stderr }).toEqual({
    code: 1,
    stderr: [expect.stringContaining("a DATABASE_URL of its own")],
  });
  start.kill("SIGINT");
  expect(await start.exited).toEqual({ code: 0, signal: null });
});

describe("doctor", () => {
  test("what fails is told with what to do, and is the exit code; --json has the settings, and no secret", async () => {
    const { url } = await createTestDatabase();
    const own = { DATABASE_URL: url, BUZZBIP_SIGNING_SECRETS: "whsec_that_nobody_is_to_see" };
    const unmigrated = await penstock.call(["doctor"], own);
    expect(unmigrated.code).toBe(1);
    expect(unmigrated.stdout.join("\n")).toMatch(/FAIL.*0001-baseline[^]*→ Run `.*migrate`/);
    expect(unmigrated.stdout.at(-1)).toMatch(/things? fails?, \d+ to look at\./);
    await penstock.call(["migrate"], own);

    const { code, stdout, stderr } = await penstock.call(["doctor", "--json"], own);
    const [diagnosis] = parseLines(stdout) as unknown as [Diagnosis];
    const fails = diagnosis.parts.flatMap(({ findings }) => findings).filter(({ level }) => level === "fail");
    // The servers of tests may run without fsync, which is what the doctor is for.
    expect(fails.filter(({ id }) => id !== "postgres.fsync")).toEqual([]);
    expect({ code, stderr }).toEqual({ code: fails.length === 0 ? 0 : 1, stderr: [] });
    expect(diagnosis.settings).toContainEqual({
      name: "BUZZBIP_SIGNING_SECRETS",
      value: "(set, not shown)",
      from: "environment",
      problem: null,
    });
    expect(stdout.join()).not.toContain("whsec_");
    expect((await penstock.call(["doctor", "--settings"], own)).stdout.join("\n")).toMatch(
      /RETENTION_DAYS +30 +default/,
    );
  });

  test.each([
    ["away", "postgres://user:s3cr3t@127.0.0.1:1/db", /FAIL.*not available.*ECONNREFUSED/],
    ["named wrongly", "mysql://user:s3cr3t@localhost/db", /FAIL.*DATABASE_URL must be/],
  ])("with a database that is %s it looks at the rest", async (_, url, reason) => {
    const { code, stdout } = await penstock.call(["doctor"], { DATABASE_URL: url, RETENTION_DAYS: "many" });
    const text = stdout.join("\n");
    expect(code).toBe(1);
    expect(text).toMatch(reason);
    expect(text).toMatch(/FAIL.*RETENTION_DAYS must be/);
    expect(text).toMatch(/not looked at without Postgres: .*Schema/);
    expect(text).not.toContain("s3cr3t");
  });
});
