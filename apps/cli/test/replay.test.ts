import { fileURLToPath } from "node:url";
import { eventually } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const CONFIG = fileURLToPath(new URL("fixtures/replay/penstock.config.ts", import.meta.url));

let penstock: Penstock;
beforeAll(async () => {
  penstock = await createPenstock({ PENSTOCK_CONFIG: CONFIG });
  await penstock.start();
  return penstock.remove;
});

async function send(id: string, data = '{"body":"hello"}'): Promise<void> {
  await penstock.run(["send", "message.received", "--id", id, "--data", data]);
}

async function json(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await penstock.run([...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
  return parseLines(stdout);
}

async function untilDone(id: string): Promise<Record<string, unknown>> {
  return eventually(async () => {
    const [status] = await json("replay", "status", id);
    expect(status).toMatchObject({ status: "done" });
    return status!;
  });
}

test("one delivery is replayed, and its story says so", async () => {
  await send("evt_once");
  const created = await penstock.run([
    "replay",
    "create",
    "evt_once",
    "--handler",
    "picky",
    "--id",
    "one",
    "--reason",
    "why",
  ]);
  expect(created).toMatchObject({ code: 0, stdout: ["replay one created"] });
  expect(await untilDone("one")).toMatchObject({ matched: 1, enqueued: 1, done: 1, states: { succeeded: 1 } });
  const [story] = await json("deliveries", "show", "evt_once", "picky");
  expect(story).toMatchObject({ replay: "one", attemptLog: [{ attempt: 1, outcome: "succeeded" }] });
  const shown = (await penstock.run(["replay", "status", "one"])).stdout.join("\n");
  expect(shown).toMatch(/^status +done$/m);
  expect(shown).toMatch(/^reason +why$/m);
  expect(shown).toMatch(/^now +1 succeeded$/m);
  expect((await penstock.run(["replay", "status"])).stdout.join("\n")).toMatch(
    / one +done +1 +1 +1 +0 +event evt_once, handler picky/,
  );
});

test("the same replay can be asked for again; another one of its id is refused", async () => {
  await send("evt_again");
  const ask = ["replay", "create", "--type", "message.received", "--since", "1h", "--missing", "--id", "same"];
  expect((await penstock.run(ask)).code).toBe(2);
  expect(await json(...ask, "--yes")).toMatchObject([{ created: true, id: "same", matched: 0 }]);
  expect(await json(...ask, "--yes")).toMatchObject([{ created: false, id: "same" }]);
  const other = await penstock.run([...ask, "--rate", "5", "--yes"]);
  expect({ code: other.code, stderr: other.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("another replay same") as string,
  });
});

test("a replay that is cancelled hands out no more, and says how far it came", async () => {
  for (const id of ["evt_c1", "evt_c2", "evt_c3"]) await send(id);
  const [created] = await json("replay", "create", "--since", "1h", "--rate", "1", "--yes");
  const id = String(created?.["id"]);
  await json("replay", "cancel", id);
  const [status] = await json("replay", "status", id);
  expect(status).toMatchObject({ status: "cancelled" });
  expect((await penstock.run(["replay", "cancel", id])).stderr.join()).toContain("is cancelled");
});

test("another body is handled as a new event, which says what it is a replay of", async () => {
  await send("evt_body", '{"body":"fail"}');
  const [event] = await json("events", "show", "evt_body");
  const changed = await penstock.file(String(event?.["body"]).replace('"fail"', '"better"'));
  const create = ["replay", "create", "evt_body", "--with-body", changed, "--id", "fix"];
  expect(await json(...create)).toMatchObject([{ created: true }]);
  expect(await json(...create)).toMatchObject([{ created: false }]);
  await untilDone("fix");
  const [made] = await json("events", "show", "evt_body#replay-fix");
  expect(made).toMatchObject({
    madeBy: { replay: "fix", of: event?.["seq"] },
    deliveries: [{ subscriber: "picky", state: "succeeded" }],
  });
  expect((await penstock.run(["events", "show", "evt_body#replay-fix"])).stdout.join("\n")).toMatch(
    /^made by +replay fix of seq \d+, with another body$/m,
  );
  const odd = await penstock.run(["replay", "create", "evt_body", "--with-body", await penstock.file("{}")]);
  expect({ code: odd.code, stderr: odd.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("would not be understood") as string,
  });
});

test("a dry run shows what a handler would do now, and keeps nothing of it", async () => {
  await send("evt_dry");
  const { code, stdout } = await penstock.run(["replay", "dry-run", "evt_dry", "--handler", "picky"]);
  expect(code).toBe(0);
  expect(stdout.join("\n")).toMatch(
    /^evt_dry {2}message.received {2}would have succeeded .*\n {2}picky.handled: 1 inserted, 0 updated, 0 deleted\n {2}1\. insert into "handled" .* -> 1 row\n\npicky: 1 event, 0 would fail. Nothing was kept.\n/,
  );
  await send("evt_dry_fails", '{"body":"fail"}');
  const failing = await penstock.run(["replay", "dry-run", "--handler", "picky", "--state", "retrying", "--json"]);
  expect(failing.code).toBe(1);
  const lines = parseLines(failing.stdout);
  expect(lines.find((line) => (line["event"] as { id?: string } | undefined)?.id === "evt_dry_fails")).toMatchObject({
    outcome: "failed",
    error: { errorMessage: "told to" },
    tables: [],
  });
  expect(lines.at(-1)).toMatchObject({ total: { tables: [] } });
});

test("of an effect handler a dry run lists what is on record, and runs nothing", async () => {
  await penstock.run(["send", "contact.created", "--id", "evt_effect"]);
  const { stdout, stderr } = await eventually(async () => {
    const outcome = await penstock.run(["replay", "dry-run", "evt_effect", "--handler", "outside"]);
    expect(outcome.stdout.join()).toContain("say");
    return outcome;
  });
  expect(stdout).toEqual(["evt_effect  on record: say"]);
  expect(stderr.join()).toContain("cannot be rolled back, so it is not run");
});

test.each([
  [["replay", "create"], 2],
  [["replay", "dry-run", "evt_once"], 2],
  [["replay", "dry-run", "evt_once", "--handler", "nobody"], 1],
  [["replay", "dry-run", "evt_nobody", "--handler", "picky"], 1],
  [["replay", "create", "--yes", "--state", "running"], 2],
  [["replay", "create", "--yes", "--state", "dead", "--missing"], 2],
  [["replay", "create", "--yes", "--quarantined", "--handler", "picky"], 2],
  [["replay", "create", "--yes", "--handler", "nobody"], 1],
  [["replay", "create", "--yes", "--id", "a b"], 2],
  [["replay", "create", "--with-body", "x", "--yes"], 2],
  [["replay", "create", "evt_nobody"], 1],
  [["replay", "status", "nothing"], 1],
  [["replay", "cancel", "nothing"], 1],
])("penstock %j ends with %i", async (args, code) => {
  const outcome = await penstock.run(args);
  expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: [] });
  expect(outcome.stderr).not.toEqual([]);
});
