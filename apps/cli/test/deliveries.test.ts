import { makeEvent } from "@penstock/schemas/fixtures";
import { eventually } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

let penstock: Penstock;
beforeAll(async () => {
  penstock = await createPenstock();
  await penstock.start();
  return penstock.remove;
});

/** Sends an event that its handler fails; it is to be tried again in an hour. */
async function sendFailing(id: string): Promise<void> {
  const { stdout } = await penstock.call(["send", "message.received", "--id", id, "--data", '{"body":"fail"}']);
  expect(stdout.join()).toContain("picky retrying");
}

async function stateOf(id: string): Promise<unknown> {
  const { stdout } = await penstock.call(["deliveries", "list", "--json", "--handler", "picky", "--limit", "1000"]);
  return parseLines(stdout).find(({ eventId }) => eventId === id)?.["state"];
}

test("a delivery that fails is listed with its error, retried now when asked, and skipped for good", async () => {
  await sendFailing("evt_repaired");
  const { stdout } = await penstock.call(["deliveries", "list", "--state", "retrying", "--since", "1h"]);
  expect(stdout[0]).toMatch(/^AGE +EVENT +TYPE +HANDLER +STATE +TRIES +NEXT +ERROR$/);
  expect(stdout[1]).toMatch(
    /evt_repaired +message.received +picky +retrying +1 +in \d+ (min|h) +RetryAfterError: asked to \\u001b\[31mfail$/,
  );

  const retried = await penstock.call(["deliveries", "retry", "evt_repaired"]);
  expect(retried).toMatchObject({ code: 0, stdout: ["1 delivery to be tried again"] });
  const skipped = await penstock.call(["deliveries", "skip", "evt_repaired"]);
  // It may be running again at this very moment: then it is left alone.
  if (skipped.code === 0) expect(await stateOf("evt_repaired")).toBe("skipped");
  else
    expect(skipped.stderr.join()).toMatch(
      /is running, and skip takes pending, retrying, dead|was running\. Try it again/,
    );
});

test("an id that is a number is that event's alone, and a seq can be said to be one", async () => {
  await sendFailing("evt_by_seq");
  const { seq } = parseLines((await penstock.call(["events", "show", "evt_by_seq", "--json"])).stdout)[0]!;
  const id = String(seq);
  const changed = async (...args: string[]) => (await penstock.call(["deliveries", "skip", ...args])).stdout;
  const shown = async (event: string) =>
    parseLines((await penstock.call(["events", "show", event, "--json"])).stdout).map((one) => one["id"]);
  expect(await shown(id)).toEqual(["evt_by_seq"]);
  await sendFailing(id);
  expect(await shown(id)).toEqual([id]);
  expect(await shown(`seq:${id}`)).toEqual(["evt_by_seq"]);
  expect(await changed(id, "picky")).toEqual(["1 delivery skipped"]);
  expect([await stateOf(id), await stateOf("evt_by_seq")]).toEqual(["skipped", "retrying"]);
  expect(await changed(`seq:${id}`, "--handler", "picky")).toEqual(["1 delivery skipped"]);
  expect((await penstock.call(["deliveries", "skip", id, "picky", "--handler", "picky"])).code).toBe(2);
});

test("one delivery is shown whole: its event, each try, the error, what comes next", async () => {
  await sendFailing("evt_story");
  const shown = (await penstock.call(["deliveries", "show", "evt_story", "picky"])).stdout.join("\n");
  expect(shown).toMatch(/^delivery +picky retrying 1\/2 in \d+ (min|h)$/m);
  expect(shown).toMatch(/^event +evt_story +seq \d+$/m);
  expect(shown).toMatch(/^next try +20.*Z$/m);
  expect(shown).toMatch(
    /#1 +failed +20.*Z +took [\d.]+ m?s +by \S+:\d+\n +RetryAfterError: asked to \\u001b\[31mfail$/,
  );
  const [story] = parseLines((await penstock.call(["deliveries", "show", "evt_story", "--json"])).stdout);
  expect(story).toMatchObject({ eventId: "evt_story", attemptLog: [{ attempt: 1, outcome: "failed" }] });
  const other = await penstock.call(["deliveries", "show", "evt_story", "nobody"]);
  expect({ code: other.code, stderr: other.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("There is no handler nobody: see") as string,
  });
});

test("events and quarantine are listed by the same options as deliveries", async () => {
  await sendFailing("evt_listed");
  await penstock.call(["send", "--body-file", await penstock.file('{"id":"evt_odd","type":"odd.type","data":{}}')]);
  const list = async (...args: string[]): Promise<unknown[]> =>
    parseLines((await penstock.call([...args, "--json", "--limit", "100"])).stdout).map(({ id }) => id);
  expect(await list("events", "list", "--handler", "picky", "--state", "retrying", "--since", "1h")).toContain(
    "evt_listed",
  );
  expect(await list("events", "list", "--handler", "nobody")).toEqual([]);
  expect(await list("events", "list", "--id", "evt_listed")).toEqual(["evt_listed"]);
  expect(await list("quarantine", "list", "--type", "odd.type", "--since", "1h")).toEqual(["evt_odd"]);
  expect(await list("quarantine", "list", "--until", "2h")).toEqual([]);
  expect((await penstock.call(["quarantine", "list"])).stdout.join("\n")).toMatch(
    /evt_odd +\d+ +odd.type +unknown-type +- /,
  );
  const mended = await penstock.file(JSON.stringify(makeEvent("message.received", { id: "evt_odd" })));
  await penstock.call(["replay", "create", "evt_odd", "--with-body", mended, "--id", "mend"]);
  await eventually(async () =>
    expect((await penstock.call(["quarantine", "list"])).stdout.join("\n")).toMatch(
      /unknown-type +evt_odd#replay-mend /,
    ),
  );
  expect((await penstock.call(["quarantine", "dismiss", "evt_odd"])).stdout).toEqual(["dismissed evt_odd"]);
  expect(await list("quarantine", "list", "--type", "odd.type")).toEqual([]);
  expect(await list("events", "list", "--status", "quarantined", "--id", "evt_odd")).toEqual(["evt_odd"]);
  expect((await penstock.call(["events", "show", "evt_odd"])).stdout.join("\n")).toMatch(
    /^dismissed +20\S+Z\nmended by +evt_odd#replay-mend +seq \d+$/m,
  );
  const again = await penstock.call(["quarantine", "dismiss", "evt_odd"]);
  expect({ code: again.code, stderr: again.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("was dismissed already") as string,
  });
});

test("many are changed at once only when that is meant", async () => {
  await sendFailing("evt_many_1");
  await sendFailing("evt_many_2");
  const careless = await penstock.call(["deliveries", "cancel", "--handler", "picky", "--state", "retrying"]);
  expect({ code: careless.code, stderr: careless.stderr.join() }).toEqual({
    code: 2,
    stderr: expect.stringContaining("--yes") as string,
  });
  const meant = ["deliveries", "cancel", "--handler", "picky", "--state", "retrying", "--yes", "--json"];
  const [answer] = parseLines((await penstock.call(meant)).stdout);
  expect(answer).toMatchObject({ change: "cancel" });
  expect(answer?.["deliveries"]).toBeGreaterThanOrEqual(2);
  expect([await stateOf("evt_many_1"), await stateOf("evt_many_2")]).toEqual(["cancelled", "cancelled"]);
  const again = await penstock.call(["deliveries", "cancel", "evt_many_1"]);
  expect({ code: again.code, stderr: again.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("is cancelled, and cancel takes pending, retrying") as string,
  });
  expect(await penstock.call(["deliveries", "cancel", "evt_many_1", "--json"])).toEqual(again);
});

test.each([
  [["deliveries", "retry"], 2],
  [["deliveries", "list", "--state", "lost"], 2],
  [["deliveries", "cancel", "--state", "running", "--yes"], 2],
  [["deliveries", "retry", "--handler", "nobody", "--yes"], 1],
  [["quarantine", "list", "--state", "dead"], 2],
  [["deliveries", "list", "--since", "yesterday"], 2],
  [["deliveries", "skip", "evt_nobody"], 1],
  [["deliveries", "show", "evt_nobody"], 1],
  [["quarantine", "list", "--limit", "0"], 2],
])("penstock %j ends with %i", async (args, code) => {
  expect((await penstock.call(args)).code).toBe(code);
});

test("what an operator changes is in the audit log, with who it was", async () => {
  await sendFailing("evt_audited");
  await penstock.call(["deliveries", "skip", "evt_audited"], { PENSTOCK_ACTOR: "ada" });
  await penstock.call(["handlers", "pause", "picky"], { PENSTOCK_ACTOR: "ada" });
  await penstock.run(["handlers", "resume", "picky"]);
  const { stdout } = await penstock.call(["audit", "list", "--json", "--limit", "3"]);
  expect(parseLines(stdout)).toMatchObject([
    { actor: expect.stringMatching(/^cli:.+@.+$/), action: "handlers.resume", target: "picky" },
    { actor: "ada", action: "handlers.pause", target: "picky" },
    { actor: "ada", action: "deliveries.skip", target: expect.stringMatching(/^seq:\d+ picky$/) },
  ]);
  const table = await penstock.call(["audit", "list", "--actor", "ada", "--limit", "1"]);
  expect(table.stdout[0]).toMatch(/^ID +AT +ACTOR +ACTION +TARGET +DETAIL$/);
  expect(table.stdout[1]).toMatch(/ada +handlers\.pause +picky$/);
  const next = /--before \d+/.exec(table.stderr.join())?.[0].split(" ") ?? [];
  const page = await penstock.call(["audit", "list", "--actor", "ada", ...next]);
  expect(page.stdout[1]).toMatch(/deliveries\.skip +seq:\d+ picky +by deliveries skip, deliveries 1/);
  expect((await penstock.call(["audit", "list", "--actor", "nobody"])).stderr).toEqual(["No entry matches."]);
});
