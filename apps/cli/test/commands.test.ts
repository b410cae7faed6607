import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { wallClockMs } from "@penstock/schemas";
import { createStore } from "@penstock/store";
import { eventually, moveToDay } from "@penstock/testing";
import { beforeAll, expect, test } from "vitest";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

// One start for all: each test sends events of its own, and looks for those by id.
let penstock: Penstock;
beforeAll(async () => {
  penstock = await createPenstock();
  await penstock.start();
  return penstock.remove;
});

const CONTROL = /[^\P{Cc}\n]/u;

async function json(...args: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await penstock.call([...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
  return parseLines(stdout);
}

test("many events are counted by answer and by what became of them", async () => {
  const { code, stdout } = await penstock.run(["send", "random", "--count", "40", "--duplicate", "1", "--shuffle"]);
  expect(code).toBe(0);
  expect(stdout.join("\n")).toMatch(
    /^sent +80 in .*\nanswers +200 × 80\nlatency +p50 .*\nevents +40 acknowledged: 40 processed$/,
  );
});

test("send --json is one object: the report, and what became of the events", async () => {
  const [report, ...more] = await json("send", "contact.created", "--id", "evt_json", "--data", '{"name":"Zoé"}');
  expect(more).toEqual([]);
  expect(report).toMatchObject({
    sent: 1,
    byStatus: { 200: 1 },
    eventIds: ["evt_json"],
    events: { processed: 1, event: { id: "evt_json", deliveries: [{ subscriber: "picky", state: "succeeded" }] } },
  });
  const [shown] = await json("events", "show", "evt_json");
  expect(JSON.parse(String(shown?.["body"]))).toMatchObject({ type: "contact.created", data: { name: "Zoé" } });
});

test("trigger sends what a file and --set lay over the event of the file's type", async () => {
  const file = await penstock.file(
    '{"type":"contact.created","id":"evt_file","data":{"name":"Ada","fields":{"city":"Gafsa"}}}',
  );
  const set = ["--set", "data.name=Amira", "--set", "data.fields.vip=true", "--set", 'data.tags=["new"]'];
  const [report] = await json("trigger", "--file", file, ...set, "--retries", "1", "--seed", "7");
  expect(report).toMatchObject({
    retried: 0,
    deliveries: { acknowledged: 1, failed: 0 },
    seed: 7,
    eventIds: ["evt_file"],
  });
  const [shown] = await json("events", "show", "evt_file");
  expect(JSON.parse(String(shown?.["body"]))).toMatchObject({
    type: "contact.created",
    data: {
      name: "Amira",
      fields: { city: "Gafsa", vip: true },
      tags: ["new"],
      contactId: expect.any(String) as string,
    },
  });
});

test("what is refused is retried as BuzzBip does, and counted as given up", async () => {
  const refused = ["send", "--types", "contact.created", "--bad-signature", "--count", "2", "--retries", "1"];
  const { code, stdout } = await penstock.call(refused);
  expect(code).toBe(1);
  expect(stdout.join("\n")).toMatch(/^answers +401 × 4\nretries +2, 2 given up in the end \(seed \d+\)$/m);
});

test("a bad signature is answered 401, and the exit code says that it was not accepted", async () => {
  const { code, stdout, stderr } = await penstock.call(["send", "message.received", "--bad-signature"]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: [] });
  expect(stdout).toEqual([expect.stringMatching(/^401 /)]);
});

test("a secret that the receiver does not know is told with where it came from, and never shown", async () => {
  const env = { BUZZBIP_SIGNING_SECRETS: "some-other-secret" };
  const { code, stdout, stderr } = await penstock.call(["send", "message.received"], env);
  expect(code).toBe(1);
  expect(stderr).toEqual([expect.stringContaining("from BUZZBIP_SIGNING_SECRETS")]);
  expect([...stdout, ...stderr].join()).not.toContain("some-other-secret");
});

test("the same id with another body is told as the conflict that it is", async () => {
  await penstock.call(["send", "message.received", "--id", "evt_twice"]);
  const { stdout } = await penstock.call(["send", "message.received", "--id", "evt_twice"]);
  expect(stdout.join()).toContain("evt_twice  quarantined (id-conflict)");
  expect((await penstock.call(["events", "show", "evt_twice"])).stdout.join("\n").match(/^seq /gm)).toHaveLength(2);
});

test("what a sender wrote never reaches the terminal raw: ids, types, bodies, errors", async () => {
  const hostile = '\u001b]0;owned\u0007\u009b31m"\\';
  const file = await penstock.file(
    JSON.stringify({ id: `evt_hostile${hostile}`, type: `x${hostile}`, createdAt: "2026-06-01T14:32:00Z", data: {} }),
  );
  await penstock.call(["send", "--body-file", file]);
  await penstock.call(["send", "--body-file", await penstock.file(`not json ${hostile}`)]);
  await penstock.call(["send", "--body-file", await penstock.file(Buffer.from([0x1b, 0x5d, 0xff, 0x07]))]);

  const listed = await penstock.call(["events", "list", "--status", "quarantined"]);
  expect(listed.stdout.join("\n")).toContain("evt_hostile");
  const events = await json("events", "list", "--status", "quarantined", "--limit", "3");
  expect(events).toHaveLength(3);
  const shown = await Promise.all(events.map(({ seq }) => penstock.call(["events", "show", String(seq)])));
  const shownAsJson = await Promise.all(
    events.map(({ seq }) => penstock.call(["events", "show", String(seq), "--json"])),
  );
  for (const { code, stdout } of [listed, ...shown, ...shownAsJson]) {
    expect(code).toBe(0);
    expect(stdout.join("\n")).not.toMatch(CONTROL);
  }
  const bytes = parseLines(shownAsJson.flatMap(({ stdout }) => stdout)).find(
    (event) => event["bodyEncoding"] === "base64",
  );
  expect(Buffer.from(String(bytes?.["body"]), "base64")).toEqual(Buffer.from([0x1b, 0x5d, 0xff, 0x07]));
});

test("a handler that failed is shown with its attempts and with when it is tried again", async () => {
  const sent = await penstock.call(["send", "message.received", "--id", "evt_fails", "--data", '{"body":"fail"}']);
  expect(sent.stdout.join()).toContain("picky retrying");
  const { stdout } = await penstock.call(["events", "list", "--type", "message.received", "--limit", "100"]);
  expect(stdout.find((line) => line.includes("evt_fails"))).toMatch(
    /in progress +picky retrying 1\/2 (now|in \d+ (s|min))$/,
  );
  const shown = (await penstock.call(["events", "show", "evt_fails"])).stdout.join("\n");
  expect(shown).toMatch(/picky +#1 +failed .*asked to \\u001b\[31mfail/);
  expect(shown).toContain('"body": "fail"');
  const [event] = await json("events", "show", "evt_fails");
  expect(event).toMatchObject({ attempts: [{ subscriber: "picky", outcome: "failed" }] });
});

test("a handler that is paused keeps its events waiting until it is resumed", async () => {
  expect((await penstock.call(["handlers", "pause", "picky"])).stdout).toEqual(["paused picky"]);
  const sent = await penstock.call(["send", "contact.created", "--id", "evt_waits"]);
  expect(sent.code).toBe(0);
  const state = async (): Promise<unknown> => (await json("deliveries", "list", "--limit", "1"))[0];
  await eventually(async () => expect(await state()).toMatchObject({ eventId: "evt_waits", state: "pending" }));
  const [picky] = await json("handlers", "list");
  expect(picky).toMatchObject({ pausedAt: expect.any(String) as string, deliveries: { pending: 1, running: 0 } });
  const [head, row] = (await penstock.call(["handlers", "list"])).stdout.join("\n").split("\n");
  expect(head).toMatch(/^NAME +KIND +STATUS +PENDING +RUNNING +RETRYING +DEAD +REGISTERED +SEEN +TYPES$/);
  expect(row).toMatch(
    /^picky +transactional +paused \d+ s +1 +0 +\d+ +\d+ +\d+ \w+ ago +\d+ \w+ ago +contact\.created message\.received$/,
  );
  expect((await penstock.call(["handlers", "pause", "picky"])).stdout.join()).toMatch(
    /^picky was paused before, \d+ s ago$/,
  );
  expect(await json("handlers", "resume", "picky")).toMatchObject([
    { handler: "picky", paused: false, changed: true, since: expect.any(String) as string },
  ]);
  expect(await json("handlers", "resume", "picky")).toMatchObject([{ changed: false, since: null }]);
  await eventually(async () => expect(await state()).toMatchObject({ eventId: "evt_waits", state: "succeeded" }));
  expect((await penstock.call(["handlers", "pause", "nobody"])).code).toBe(1);
});

test("handlers are listed, and forgotten only when that is meant", async () => {
  expect(await json("handlers", "list")).toMatchObject([
    { name: "picky", kind: "transactional", types: ["contact.created", "message.received"], pausedAt: null },
  ]);
  const careless = await penstock.call(["handlers", "remove", "picky"]);
  expect({ code: careless.code, lines: careless.stderr }).toEqual({
    code: 2,
    lines: [expect.stringContaining("--yes")],
  });
  expect((await penstock.call(["handlers", "remove", "nobody", "--yes"])).code).toBe(1);
  expect((await penstock.call(["handlers", "remove", "picky", "--yes"])).stdout).toEqual(["removed picky"]);
  expect(await json("handlers", "list")).toEqual([]);
});

test("db show tells what takes how much space", async () => {
  const { stdout, code } = await penstock.call(["db", "show"]);
  expect(code).toBe(0);
  expect(stdout.join("\n")).toMatch(
    /^Postgres 18\S*, [\d.]+ MiB, \d+ of \d+ connections\n\d+ events wait.*\n.*\n\nTABLE +SIZE +ROWS +DEAD ROWS +PARTITIONS\n[\s\S]*^penstock\.events +[\d.]+ KiB +\d+ +\d+ +8$[\s\S]*^DAY +SIZE\n\d{4}-\d\d-\d\d +[\d.]+ [KM]iB/m,
  );
  expect(parseLines((await penstock.call(["db", "show", "--json"])).stdout)).toMatchObject([
    { tables: expect.any(Array) },
  ]);
});

test("what is due is shown, deleted by a command, and told of afterwards", async () => {
  // Past its term, and not past the dedupe window.
  const day = new Date(wallClockMs() - 60 * 86_400_000).toISOString().slice(0, 10);
  expect((await json("send", "contact.created", "--id", "evt_past"))[0]).toMatchObject({ events: { processed: 1 } });
  const url = (await penstock.run(["db", "url"])).stdout[0] ?? "";
  const store = createStore({ connectionString: url, applicationName: "test", maxConnections: 1 });
  await moveToDay(store.pool, day, ["evt_past"]);
  await store.close();

  const { stdout } = await penstock.call(["retention", "plan"]);
  expect(stdout.join("\n")).toMatch(
    new RegExp(
      String.raw`^Events are kept for 30 days, no limit of bytes\.\nDay ${day} with 1 event goes now: about [\d.]+ KiB of [\d.]+ MiB\.\n\nDAY +SIZE +WHAT.*\n${day} +[\d.]+ KiB +goes +1$`,
    ),
  );
  expect(await json("retention", "plan", "--days", "36500")).toMatchObject([{ days: [{ action: "keep" }], frees: 0 }]);
  const asked = await penstock.call(["retention", "run"]);
  expect({ code: asked.code, lines: asked.stderr }).toEqual({
    code: 2,
    lines: [
      expect.stringMatching(new RegExp(String.raw`^Day ${day} with 1 event goes for good, about .* add --yes\.$`)),
    ],
  });
  expect(await json("retention", "run", "--yes")).toMatchObject([
    { days: [{ day, outcome: "dropped", went: 1 }], failed: [] },
  ]);
  for (const command of [
    ["events", "show"],
    ["deliveries", "show"],
    ["replay", "create"],
  ]) {
    const { code, stderr } = await penstock.call([...command, "evt_past"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: [
        expect.stringMatching(
          new RegExp(
            String.raw`^Event evt_past is gone: it was received on ${day} and deleted on \d{4}-\d\d-\d\d, since its term was over\.`,
          ),
        ),
      ],
    });
  }
  expect(await json("audit", "list", "--action", "retention")).toMatchObject([
    { action: "retention.run", detail: { days: [{ day, action: "drop", events: 1 }] } },
  ]);
  // The ledger outlives it: another body with the same id is told from a new event.
  await json("send", "contact.created", "--id", "evt_past");
  expect(await json("events", "show", "evt_past")).toMatchObject([{ quarantine: { reason: "id-conflict" } }]);
});

test("db url is a connection string and nothing else", async () => {
  const { code, stdout, stderr } = await penstock.run(["db", "url"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
  expect(stdout).toEqual([expect.stringMatching(/^postgres:\/\/penstock:[0-9a-f]+@127\.0\.0\.1:\d+\/penstock$/)]);
});

test.each([
  [[], 2],
  [["--help"], 0],
  [["--version"], 0],
  [["evnts"], 2],
  [["send"], 2],
  [["send", "message.lost"], 2],
  [["send", "message.received", "--count", "0"], 2],
  [["send", "message.received", "--rate", "-1"], 2],
  [["send", "message.received", "--data", "[]"], 2],
  [["send", "message.received", "--url", "ftp://127.0.0.1"], 2],
  [["send", "message.received", "--url", "http://127.0.0.1:1"], 1],
  [["send", "--body-file", "/nowhere"], 1],
  [["send", "message.received", "--file", "/nowhere"], 1],
  [["send", "message.received", "--set", "data.body"], 2],
  [["send", "message.received", "--late", "2"], 2],
  [["send", "random", "--types", "message.sent"], 2],
  [["send", "--types", "message.lost"], 2],
  [["events", "list", "--status", "lost"], 2],
  [["events", "list", "one", "more"], 2],
  [["events", "show", "evt_nobody"], 1],
  [["migrate"], 0],
])("penstock %j ends with %i", async (args, code) => {
  const outcome = await penstock.call(args);
  expect(outcome.code).toBe(code);
  if (code !== 0) expect(outcome.stdout).toEqual([]);
  expect([...outcome.stdout, ...outcome.stderr]).not.toEqual([]);
});

test("events are listed by a query, as in the console, and by options beside it", async () => {
  await json(
    "send",
    "contact.created",
    "--id",
    "evt_query",
    "--data",
    '{"contactId":"cnt_query","name":"Noor Haddad"}',
  );
  const ids = async (...args: string[]) => (await json("events", "list", ...args)).map(({ id }) => id);
  expect(await ids('type:contact.* data.contactId=cnt_query "noor haddad" age<2h')).toEqual(["evt_query"]);
  expect(await ids("data.contactId=cnt_query", "--type", "contact.created")).toEqual(["evt_query"]);
  expect(await ids("data.contactId=cnt_query -type:contact.*")).toEqual([]);
});

test("a query that is not understood is told with its place and what would be right", async () => {
  const { code, stderr } = await penstock.call(["events", "list", "type:x state:broken"]);
  expect(code).toBe(2);
  expect(stderr.join("\n")).toContain("there is no state broken: it is one of pending, running");
  expect(stderr.join("\n")).toMatch(/\n {2}type:x state:broken\n {15}\^/);
});

test("a person is erased: a plan first, then from every table of the database and from the logs", async () => {
  const phone = "+393331234567";
  const data = JSON.stringify({ contactId: "cnt_ada", from: phone, body: "fail" });
  await json("send", "message.received", "--id", "evt_ada", "--data", data);
  await json(
    "send",
    "message.received",
    "--id",
    "evt_other",
    "--data",
    JSON.stringify({ contactId: "cnt_bo", body: "hi" }),
  );
  const plan = await penstock.call(["erase", "--subject", "cnt_ada", "--value", phone]);
  expect(plan.stderr).toEqual(["Nothing was changed. Add --yes to erase this for good."]);
  expect(plan.stdout.join("\n")).toMatch(
    /^1 events have it, received from .*Overwritten with them:.*Skipped: 1 deliveries/s,
  );

  const [erased] = await json("erase", "--subject", "cnt_ada", "--value", phone, "--yes");
  expect(erased).toMatchObject({
    step: "done",
    kinds: ["subject", "value"],
    counts: { events: 1, batches: 1, attempts: 1, filters: 1 },
    handlers: { picky: { state: "lacks" } },
  });
  const url = (await penstock.run(["db", "url"])).stdout[0] ?? "";
  const store = createStore({ connectionString: url, applicationName: "test", maxConnections: 1 });
  const columns = await store.pool.query<{ from: string; text: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS from,
            CASE WHEN a.atttypid = 'bytea'::regtype THEN format('encode(%I, ''escape'')', a.attname)
                 ELSE format('%I::text', a.attname) END AS text
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema)' AND a.attnum > 0 AND NOT a.attisdropped`,
  );
  const found: string[] = [];
  for (const { from, text } of columns.rows) {
    const { rowCount } = await store.pool.query(`SELECT FROM ${from} WHERE ${text} ~ 'cnt_ada|393331234567'`);
    if (rowCount) found.push(`${from} ${text}`);
  }
  await store.close();
  expect(columns.rows.length).toBeGreaterThan(200);
  expect(found).toEqual([]);
  for (const file of await readdir(join(penstock.home, "logs"))) {
    expect(await readFile(join(penstock.home, "logs", file), "utf8")).not.toMatch(/cnt_ada|393331234567/);
  }

  const shown = (await penstock.call(["events", "show", "evt_ada"])).stdout.join("\n");
  expect(shown).toMatch(/^erased +\S+ by cli:tester@test, erasure \d+$/m);
  expect(shown).toMatch(/^body\n {2}\(erased\)$/m);
  const again = await penstock.call(["replay", "create", "evt_ada", "--state", "skipped"]);
  expect(again).toMatchObject({
    code: 1,
    stderr: [expect.stringMatching(/^Nothing matches.*The event was erased on /)],
  });
  const retried = await penstock.call(["deliveries", "retry", "evt_ada"]);
  expect(retried.code).toBe(1);
  expect(await json("events", "show", "evt_other")).toMatchObject([{ erased: null, bodyEncoding: "utf8" }]);
  expect(await json("audit", "list", "--action", "erase")).toMatchObject([
    { action: "erase.done", detail: { events: 1 } },
    { action: "erase.create", detail: { by: ["subject", "value"] } },
  ]);
  // To erase once more finds nothing, and a copy that the sender repeats is still one.
  expect(await json("erase", "--subject", "cnt_ada")).toMatchObject([{ events: 0, texts: {} }]);
});

test.each([
  [[], "Who is to be erased? Say it by --subject, --value or --where."],
  [["--value", "abc"], "--value abc would stand in much that is about others"],
  [["--where", "data"], "--where data: give a path of the body and its value"],
])("erase %j is called wrongly", async (args, says) => {
  const { code, stderr } = await penstock.call(["erase", ...args]);
  expect(code).toBe(2);
  expect(stderr.join("\n")).toContain(says);
});
