import { fileURLToPath } from "node:url";
import { openQueue } from "@penstock/queue";
import { eventually, startRedis } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { openStore } from "../src/database.ts";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const CONFIG = fileURLToPath(new URL("fixtures/replay/penstock.config.ts", import.meta.url));

let penstock: Penstock;
beforeAll(async () => {
  penstock = await createPenstock({ PENSTOCK_CONFIG: CONFIG });
  await penstock.start();
  return penstock.remove;
});

async function send(id: string, data = '{"body":"hello"}'): Promise<void> {
  await penstock.call(["send", "message.received", "--id", id, "--data", data]);
}

async function json(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await penstock.call([...args, "--json"]);
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
  const created = await penstock.call([
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
  expect(created.stderr[0]).toMatch(/^1 delivery matches: picky 1\. The oldest event came \d+ s ago\.$/);
  expect(await untilDone("one")).toMatchObject({ matched: 1, enqueued: 1, done: 1, states: { succeeded: 1 } });
  const [story] = await json("deliveries", "show", "evt_once", "picky");
  expect(story).toMatchObject({
    replay: "one",
    attemptLog: [
      { attempt: 1, outcome: "succeeded", startedAt: null, replay: null },
      { attempt: 1, outcome: "succeeded", startedAt: expect.any(String) as string, replay: "one" },
    ],
  });
  expect((await penstock.call(["deliveries", "show", "evt_once", "picky"])).stdout.join("\n")).toMatch(
    /attempts\n {2}#1 {2}succeeded {2}20\S+Z\n {2}#1 {2}succeeded {2}\(replay one\) {2}20\S+Z {2}took/,
  );
  const shown = (await penstock.call(["replay", "status", "one"])).stdout.join("\n");
  expect(shown).toMatch(/^status +done$/m);
  expect(shown).toMatch(/^reason +why$/m);
  expect(shown).toMatch(/^now +1 succeeded$/m);
  expect((await penstock.call(["replay", "status"])).stdout.join("\n")).toMatch(
    / one +done +1 +1 +1 +0 +event evt_once, handler picky/,
  );
});

test("many are replayed once it is said which and that it is meant; asked for again, nothing is done", async () => {
  await send("evt_again");
  const which = ["replay", "create", "--type", "message.received", "--since", "1h", "--id", "same"];
  const careless = await penstock.call(which);
  expect({ code: careless.code, stderr: careless.stderr.join() }).toEqual({
    code: 2,
    stderr: expect.stringMatching(
      /^\d+ deliver.* match.*: picky \d+\. .* `.*deliveries list`.*, then add --yes\.$/,
    ) as string,
  });
  const ask = [...which, "--yes"];
  const [created] = await json(...ask);
  expect(created).toMatchObject({ created: true, id: "same", matches: expect.any(Number) as number });
  expect(await json(...ask)).toMatchObject([{ created: false, id: "same", matches: null }]);
  const other = await penstock.call([...ask, "--rate", "5"]);
  expect({ code: other.code, stderr: other.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("another replay same") as string,
  });
});

test("what a handler never had it gets only when that is asked for, and of an effect handler that is said", async () => {
  await penstock.call(["handlers", "pause", "outside"]);
  await penstock.call(["send", "contact.created", "--id", "evt_missing"]);
  await penstock.call(["handlers", "resume", "outside"]);
  // As if the handler had come later.
  const store = openStore((await penstock.call(["db", "url"])).stdout.join());
  await store.pool.query("DELETE FROM penstock.deliveries WHERE subscriber = 'outside'");
  await store.close();
  const ask = ["replay", "create", "evt_missing", "--handler", "outside"];
  const refused = await penstock.call(ask);
  expect({ code: refused.code, stderr: refused.stderr.join() }).toEqual({
    code: 1,
    stderr:
      "Nothing matches, so there is no replay. outside never had this event: it would get it with --handler and --missing.",
  });
  const { stderr } = await penstock.call([...ask, "--missing", "--id", "attach"]);
  expect(stderr[0]).toMatch(
    /^1 delivery matches: outside 1\. .* outside: an effect handler, which acts .*, however old\.$/,
  );
  expect(await untilDone("attach")).toMatchObject({ matched: 1, enqueued: 1 });
});

test("a replay that is cancelled hands out no more, and says how far it came", async () => {
  await send("evt_c1");
  await penstock.call(["handlers", "pause", "picky"]);
  const [created] = await json("replay", "create", "--since", "1h", "--handler", "picky", "--rate", "1", "--yes");
  const id = String(created?.["id"]);
  const before = await eventually(async () => {
    const [status] = await json("replay", "status", id);
    expect(status).toMatchObject({ heldUpBy: { paused: ["picky"] } });
    return status;
  });
  const shown = await penstock.call(["replay", "status", id]);
  expect(shown.stdout.join("\n")).toMatch(/^held up +picky is paused$/m);
  const cancelled = await penstock.call(["replay", "cancel", id]);
  expect(cancelled.stdout.join()).toMatch(/^replay \w+ cancelled: [1-9]\d* not begun, 0 done$/);
  await penstock.call(["handlers", "resume", "picky"]);
  const [status] = await json("replay", "status", id);
  expect(status).toMatchObject({ status: "cancelled" });
  expect(status?.["matched"]).toBeGreaterThanOrEqual(Number(before?.["matched"]));
  expect((await penstock.call(["replay", "cancel", id])).stderr.join()).toContain("is cancelled");
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
  expect((await penstock.call(["events", "show", "evt_body#replay-fix"])).stdout.join("\n")).toMatch(
    /^made by +replay fix of seq \d+, with another body$/m,
  );
  const odd = await penstock.call(["replay", "create", "evt_body", "--with-body", await penstock.file("{}")]);
  expect({ code: odd.code, stderr: odd.stderr.join() }).toEqual({
    code: 1,
    stderr: expect.stringContaining("would not be understood") as string,
  });
});

test("another body is in the queue as soon as it is committed", async () => {
  await send("evt_queued", '{"body":"fail"}');
  const [event] = await json("events", "show", "evt_queued");
  const changed = await penstock.file(String(event?.["body"]).replace('"fail"', '"better"'));
  // A queue that no worker consumes: what is in it was added by the command.
  const redis = await startRedis();
  const queue = openQueue({ kind: "redis", url: redis.url }, () => {
    throw new Error("this queue is on Redis");
  });
  const create = ["replay", "create", "evt_queued", "--with-body", changed];
  expect(await penstock.call(create, { QUEUE_URL: redis.url })).toMatchObject({ code: 0 });
  const { batches } = await new Promise<{ batches: readonly number[] }>((resolve) => {
    const consumer = queue.consume(
      async (job) => {
        resolve(job);
        void consumer.close(1_000);
      },
      { concurrency: 1 },
    );
  });
  expect(batches).toHaveLength(1);
  expect(batches[0]).toBeGreaterThan(Math.floor(Number(event?.["seq"]) / 1_024));
  await queue.close();
  // A queue that is away is no failure: a worker's sweep finds the batch.
  await redis.stop();
  expect(await penstock.call(create, { QUEUE_URL: redis.url })).toMatchObject({ code: 0 });
});

test("a dry run shows what a handler would do now, and keeps nothing of it", async () => {
  await send("evt_dry");
  const { code, stdout } = await penstock.call(["replay", "dry-run", "evt_dry", "--handler", "picky"]);
  expect(code).toBe(0);
  expect(stdout.join("\n")).toMatch(
    /^evt_dry {2}message.received {2}would succeed .*\n {2}picky.handled: 1 inserted, 0 updated, 0 deleted\n {2}1\. insert into "handled" .* -> 1 row\n\npicky: 1 event, 0 would not succeed. Nothing was kept.\n/,
  );
  await send("evt_dry_fails", '{"body":"fail"}');
  expect((await penstock.call(["replay", "dry-run", "--handler", "picky", "--limit", "1"])).stderr.join()).toContain(
    "More events match: these are the newest 1.",
  );
  const failing = await penstock.call(["replay", "dry-run", "--handler", "picky", "--state", "retrying", "--json"]);
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
  await penstock.call(["send", "contact.created", "--id", "evt_effect"]);
  const { stdout, stderr } = await eventually(async () => {
    const outcome = await penstock.call(["replay", "dry-run", "evt_effect", "--handler", "outside"]);
    expect(outcome.stdout.join()).toContain("say");
    return outcome;
  });
  expect(stdout).toEqual(["evt_effect  on record: say"]);
  expect(stderr.join()).toContain("cannot be rolled back, so it is not run");
});

test.each([
  [["replay", "create"], 2],
  [["replay", "create", "--yes"], 2],
  [["replay", "create", "--missing", "--yes"], 2],
  [["replay", "create", "--all", "--until", "2d", "--yes"], 1],
  [["replay", "create", "--again", "--handler", "picky", "--yes"], 2],
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
  const outcome = await penstock.call(args);
  expect({ code: outcome.code, stdout: outcome.stdout }).toEqual({ code, stdout: [] });
  expect(outcome.stderr).not.toEqual([]);
});
