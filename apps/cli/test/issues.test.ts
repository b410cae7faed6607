import { fileURLToPath } from "node:url";
import { eventually } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const CONFIG = fileURLToPath(new URL("fixtures/issues/penstock.config.ts", import.meta.url));

let penstock: Penstock;
beforeAll(async () => {
  penstock = await createPenstock({ PENSTOCK_CONFIG: CONFIG });
  await penstock.start();
  return penstock.remove;
});

async function json(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await penstock.call([...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
  return parseLines(stdout);
}

async function sendFailing(id: string): Promise<void> {
  const { stdout } = await penstock.call(["send", "message.received", "--id", id, "--data", `{"messageId":"${id}"}`]);
  expect(stdout.join()).toContain("fragile dead");
}

async function issueOf(state: string): Promise<Record<string, unknown>> {
  return eventually(
    async () => {
      const issues = await json("issues", "list", "--handler", "fragile", "--all");
      expect(issues).toEqual([expect.objectContaining({ state })]);
      return issues[0]!;
    },
    { timeoutMs: 30_000 },
  );
}

test("while nothing has failed, nothing needs a person", async () => {
  const { code, stdout, stderr } = await penstock.call(["issues", "list"]);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: [], stderr: ["Nothing needs a person."] });
});

test("what fails is an issue, which is acknowledged, run again once it is mended, and settled by that", async () => {
  await sendFailing("msg_1");
  await sendFailing("msg_2");
  const issue = await issueOf("open");
  expect(issue).toMatchObject({
    kind: "dead-letter",
    title: "PermanentError: cannot take <id>",
    place: expect.stringMatching(/fixtures\/issues\/penstock\.config\.ts:\d+:\d+$/),
  });
  const id = String(issue["id"]);
  await eventually(async () => expect(await json("issues", "show", id)).toMatchObject([{ count: 2, left: 2 }]));

  const table = await penstock.call(["issues", "list"]);
  expect(table.stdout[0]).toMatch(/^ISSUE +STATE +LAST +FIRST +COUNT +LEFT +KIND +OF +WHAT$/);
  expect(table.stdout[1]).toMatch(
    /^\d+ +open +\d+ s +\d+ s +2 +2 +dead-letter +fragile +PermanentError: cannot take <id>$/,
  );

  expect((await penstock.call(["issues", "acknowledge", id, "--note", "on it"])).stdout).toEqual([
    `issue ${id} is acknowledged`,
  ]);
  const again = await penstock.call(["issues", "acknowledge", id]);
  expect(again).toMatchObject({
    code: 1,
    stderr: [`Issue ${id} is acknowledged: acknowledge takes one that is open.`],
  });
  const shown = (await penstock.call(["issues", "show", id])).stdout.join("\n");
  expect(shown).toMatch(/^state +acknowledged by \S+ since 20.*ago\)$/m);
  expect(shown).toMatch(/^note +on it$/m);
  expect(shown).toMatch(/^example +msg_2$/m);
  expect(shown).toContain(`npm run penstock -- issues retry ${id}`);

  // Once its cause is mended: here, once it has been told that everything is fine.
  await penstock.call(["send", "contact.created"]);
  const asked = await penstock.call(["issues", "retry", id]);
  expect(asked.code).toBe(2);
  expect(asked.stderr[0]).toMatch(/^2 deliveries match: fragile 2\. .* To run them again, add --yes\.$/);
  const [retried] = await json("issues", "retry", id, "--yes");
  expect(retried).toMatchObject({ issue: Number(id), matches: 2 });
  const replay = String(retried!["replay"]);
  await eventually(async () => expect(await json("replay", "status", replay)).toMatchObject([{ status: "done" }]));
  expect(await json("replay", "status", replay)).toMatchObject([{ matched: 2, done: 2, states: { succeeded: 2 } }]);
  const settled = await issueOf("resolved");
  expect(settled).toMatchObject({ left: 0, retrying: 0, changedBy: null });
  expect((await penstock.call(["issues", "retry", id, "--yes"])).stderr).toEqual([
    `Nothing is left of issue ${id}: there is nothing to run again.`,
  ]);
  const audit = (await json("audit", "list")).map(({ action }) => action);
  expect(audit).toEqual(expect.arrayContaining(["issues.acknowledge", "replay.create"]));
});

test("what nobody knows is said", async () => {
  expect((await penstock.call(["issues", "show", "999"])).stderr.join()).toMatch(/^There is no issue 999: see/);
  expect((await penstock.call(["issues", "resolve", "seven"])).code).toBe(2);
});
