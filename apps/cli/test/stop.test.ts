import { fileURLToPath } from "node:url";
import { generateMasterKey } from "@penstock/dispatch";
import { makeEvent } from "@penstock/schemas/fixtures";
import type { Store } from "@penstock/store";
import { addHistory, createTestDatabase, eventually, openSink, type TestProcess } from "@penstock/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { openStore } from "../src/database.ts";
import { createPenstock, parseLines, type Penstock } from "./penstock.ts";

const CONFIG = fileURLToPath(new URL("fixtures/replay/penstock.config.ts", import.meta.url));
/** Two pages of a bulk change, and half of a third. */
const DELIVERIES = 2_500;

let penstock: Penstock;
let store: Store;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  penstock = await createPenstock({
    DATABASE_URL: url,
    PENSTOCK_CONFIG: CONFIG,
    PENSTOCK_MASTER_KEY: generateMasterKey(),
    OUTBOUND_ALLOW: "127.0.0.0/8",
  });
  await penstock.call(["migrate"]);
  store = openStore(url);
  await addHistory(store.pool, { events: DELIVERIES, like: makeEvent("message.received", { id: "evt" }) });
});
afterAll(async () => {
  await store.close();
  await penstock.remove();
});
beforeEach(() => store.pool.query("TRUNCATE penstock.deliveries, penstock.attempts"));

/** Each event has a delivery of this subscriber in this state. */
async function given(subscriber: string, state: string): Promise<void> {
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at)
     SELECT day, seq, $1, $2, CASE WHEN $2 = 'pending' THEN now() END FROM penstock.events`,
    [subscriber, state],
  );
}

async function countByState(subscriber: string): Promise<unknown> {
  const { rows } = await store.pool.query<{ state: string; n: number }>(
    "SELECT state, count(*)::int AS n FROM penstock.deliveries WHERE subscriber = $1 GROUP BY 1",
    [subscriber],
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

/** Holds what a statement locks until it is let go, at the end of the test at the latest. */
async function hold(sql: string): Promise<() => Promise<void>> {
  const client = await store.pool.connect();
  let held = true;
  const letGo = async (): Promise<void> => {
    if (!held) return;
    held = false;
    await client.query("ROLLBACK");
    client.release();
  };
  onTestFinished(letGo);
  await client.query("BEGIN");
  await client.query(sql);
  return letGo;
}

/** Sends Ctrl-C to a command once it waits for a lock, and lets it go on when it has said that it stops. */
async function stopAtLock(command: TestProcess, letGo: () => Promise<void>): Promise<void> {
  const waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  await eventually(async () => expect((await store.pool.query(waits)).rowCount).toBe(1));
  command.kill("SIGINT");
  await command.waitForLine(/^Stopping once the page under way is done/);
  await letGo();
}

/** A delivery of the second page: the first is done when a command waits for it. */
const SECOND_PAGE = `SELECT FROM penstock.deliveries WHERE seq = (SELECT seq FROM penstock.events ORDER BY seq DESC OFFSET 1500 LIMIT 1) FOR UPDATE`;

describe("Ctrl-C ends a bulk change after the page under way, and how many of how many were changed is told:", () => {
  test.each([
    ["retry", "dead", "pending", "to be tried again"],
    ["skip", "dead", "skipped", "skipped"],
    ["cancel", "pending", "cancelled", "cancelled"],
  ])("deliveries %s", async (change, state, after, done) => {
    await given("picky", state);
    const letGo = await hold(SECOND_PAGE);
    const command = penstock.open(["deliveries", change, "--handler", "picky", "--state", state, "--yes"]);
    await stopAtLock(command, letGo);
    expect(await command.exited).toEqual({ code: 130, signal: null });
    expect(command.stdout).toEqual([`2000 of 2500 deliveries ${done}`]);
    expect(command.stderr.at(-1)).toBe("Stopped. The others are as before: the same command takes them.");
    expect(await countByState("picky")).toEqual({ [after]: 2_000, [state]: 500 });
    const rest = await penstock.call(["deliveries", change, "--handler", "picky", "--state", state, "--yes", "--json"]);
    expect(parseLines(rest.stdout)).toEqual([{ change, deliveries: 500 }]);
  });

  test("what cannot be changed anyway is not counted", async () => {
    await given("picky", "dead");
    await store.pool.query("UPDATE penstock.deliveries SET state = 'succeeded' WHERE seq % 2 = 0");
    const letGo = await hold(SECOND_PAGE);
    const command = penstock.open(["deliveries", "skip", "--handler", "picky", "--yes", "--json"]);
    await stopAtLock(command, letGo);
    expect(await command.exited).toEqual({ code: 130, signal: null });
    expect(parseLines(command.stdout)).toEqual([{ change: "skip", deliveries: 1_000, left: 250 }]);
  });

  test("endpoints recover, and endpoints delete", async () => {
    const added = await penstock.call(["endpoints", "add", "http://127.0.0.1:9/hook", "--json"]);
    const id = String(parseLines(added.stdout)[0]?.["id"]);
    await given(id, "dead");
    const recovering = await hold(SECOND_PAGE);
    const recover = penstock.open(["endpoints", "recover", id]);
    await stopAtLock(recover, recovering);
    expect(await recover.exited).toEqual({ code: 130, signal: null });
    expect(recover.stdout).toEqual(["2000 of 2500 deliveries to be sent now"]);

    await store.pool.query("UPDATE penstock.deliveries SET state = 'pending', next_attempt_at = now()");
    const deleting = await hold(SECOND_PAGE);
    const remove = penstock.open(["endpoints", "delete", id, "--yes"]);
    await stopAtLock(remove, deleting);
    expect(await remove.exited).toEqual({ code: 130, signal: null });
    expect(remove.stdout).toEqual([`deleted ${id}, and cancelled 2000 of 2500 deliveries that waited`]);
    expect(remove.stderr.at(-1)).toBe("Stopped. Workers cancel the others.");
  });
});

test("Ctrl-C ends a dry run at once, and after how many of how many events is told", async () => {
  await hold("LOCK TABLE picky.handled IN ACCESS EXCLUSIVE MODE");
  const command = penstock.open(["replay", "dry-run", "--handler", "picky", "--limit", "30"]);
  const waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  await eventually(async () => expect((await store.pool.query(waits)).rowCount).toBe(1));
  command.kill("SIGINT");
  expect(await command.exited).toEqual({ code: 130, signal: null });
  // One that waits for long fails by its own time-out meanwhile.
  expect(command.stdout.join("\n")).toMatch(/^picky: stopped after \d+ of 30 events, \d+ would not succeed\./m);
});

test("Ctrl-C ends a request to an endpoint that does not answer, and what is sent by hand", async () => {
  const sink = await openSink();
  onTestFinished(sink.close);
  sink.answer = () => undefined;
  const added = await penstock.call(["endpoints", "add", sink.url, "--json"]);
  const id = String(parseLines(added.stdout)[0]?.["id"]);
  const trying = penstock.open(["endpoints", "test", id]);
  await eventually(() => expect(sink.received).toHaveLength(1));
  trying.kill("SIGINT");
  expect(await trying.exited).toEqual({ code: 130, signal: null });
  expect(trying.stderr.at(-1)).toMatch(/^Stopped after .*: nothing had come back\.$/);

  const url = ["--url", sink.url, "--secret", "s3cr3t-of-the-sink"];
  const sending = penstock.open(["send", "message.received", "--count", "5", ...url]);
  await eventually(() => expect(sink.received).toHaveLength(6));
  sending.kill("SIGINT");
  expect(await sending.exited).toEqual({ code: 130, signal: null });
});

test("a promise that a handler left alone takes no dry run down", async () => {
  const command = await penstock.run(["replay", "dry-run", "evt_1", "--handler", "forgetful"], {
    PENSTOCK_CONFIG: fileURLToPath(new URL("fixtures/forgetful.config.ts", import.meta.url)),
  });
  expect(command.code).toBe(1);
  expect(command.stderr.join("\n")).toContain("nobody heard. nobody waits for this");
  expect(command.stdout.join("\n")).toContain("forgetful: 1 event, 0 would not succeed");
});
