import {
  advanceIssues,
  cancelReplay,
  changeIssue,
  countIssueRetry,
  createEngineStore,
  listIssues,
  noteSilentSources,
  readSilence,
  recordAudit,
  resolveSettledIssues,
  retryIssue,
  showIssue,
  showReplay,
  type Store,
} from "@penstock/store";
import { recordSourceActivity } from "@penstock/store/intake";
import { beforeEach, describe, expect, test } from "vitest";
import { openMigrated } from "./open-test-store.ts";
import { mostRowsIn, mostRowsLeftOut, plansThatScan, withPlans } from "./plans.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  await store.pool.query("INSERT INTO penstock.handlers (name, kind, types) VALUES ('a', 'transactional', '{x}')");
  return () => store.close();
});

/** Adds events from `from` to `to`, received now. */
async function addEvents(from: number, to: number): Promise<void> {
  await store.pool.query(
    `INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
     SELECT n, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', 'evt_' || n, 'x', '{}', 0, 0
       FROM generate_series($1::int, $2::int) AS n`,
    [from, to],
  );
}

interface Failure {
  readonly subscriber?: string;
  readonly errorClass?: string;
  readonly message?: string;
  readonly place?: string;
  /** How long ago, in SQL. */
  readonly ago?: string;
  readonly lane?: string;
}

/** Has these events end as dead letters; `#` in the message is the event's number. */
async function addDead(from: number, to: number, failure: Failure = {}): Promise<void> {
  const { subscriber = "a", errorClass = "TypeError", message = "no name in cnt_#", ago = "0 s" } = failure;
  await addEvents(from, to);
  await store.pool.query(
    `WITH died AS (
       INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts, changed_at, lane, lane_at)
       SELECT day, seq, $3, 'dead', 3, now() - $4::interval, $5::text, CASE WHEN $5::text IS NOT NULL THEN now() END
         FROM penstock.events WHERE seq BETWEEN $1::int AND $2::int RETURNING *)
     INSERT INTO penstock.attempts (day, seq, subscriber, attempt, started_at, ended_at, outcome, error_class,
                                    error_message, place, worker)
     SELECT day, seq, subscriber, n, changed_at, changed_at, 'failed', $6, replace($7, '#', seq::text), $8, 'w'
       FROM died, generate_series(1, 3) AS n`,
    [from, to, subscriber, ago, failure.lane, errorClass, message, failure.place],
  );
}

async function setState(state: string, where = "true"): Promise<void> {
  await store.pool.query(`UPDATE penstock.deliveries SET state = '${state}' WHERE ${where}`);
}

const only = async () => {
  const issues = await listIssues(store);
  expect(issues).toHaveLength(1);
  return issues[0]!;
};

/** The state and the kind of each issue, as told to channels and as events. */
async function told(): Promise<string[]> {
  const { rows } = await store.pool.query<{ line: string }>(
    "SELECT reason || ' ' || issue AS line FROM penstock.issue_notices ORDER BY id",
  );
  return rows.map(({ line }) => line);
}

async function ownEvents(): Promise<{ type: string; data: Record<string, unknown> }[]> {
  const { rows } = await store.pool.query<{ body: Buffer }>(
    "SELECT bodies AS body FROM penstock.batches b JOIN penstock.pending p ON p.batch = b.batch ORDER BY b.batch",
  );
  return rows.map(({ body }) => JSON.parse(body.toString()) as { type: string; data: Record<string, unknown> });
}

describe("dead letters", () => {
  test("of one error are one issue, whatever numbers and ids their messages hold", async () => {
    await addDead(1, 3, { place: "/srv/one/handlers/a/src/index.ts:14:9" });
    await addDead(4, 4, { place: "/srv/two/handlers/a/src/index.ts:15:2" }); // another release
    await addDead(5, 5, { errorClass: "RangeError" });
    await advanceIssues(store);
    const issues = await listIssues(store);
    expect(issues.map(({ kind, subject, title, count, left }) => [kind, subject, title, count, left])).toEqual([
      ["dead-letter", "a", "RangeError: no name in <id>", 1, 1],
      ["dead-letter", "a", "TypeError: no name in <id>", 4, 4],
    ]);
    expect(issues[1]).toMatchObject({
      state: "open",
      place: "/srv/two/handlers/a/src/index.ts:15:2",
      example: { seq: 4, eventId: "evt_4" },
      changedBy: null,
      reopened: 0,
    });
  });

  test("are counted once, by the hour in which they died", async () => {
    await addDead(1, 2, { ago: "2 h" });
    await addDead(3, 3);
    for (let n = 0; n < 3; n++) await advanceIssues(store);
    const { id } = await only();
    const issue = await showIssue(store, id);
    expect(issue?.count).toBe(3);
    expect(issue?.hours.map(({ count }) => count)).toEqual([2, 1]);
    expect(Date.parse(issue!.lastSeen) - Date.parse(issue!.firstSeen)).toBeGreaterThanOrEqual(2 * 3_600_000);
  });

  test("that commit late are not left out", async () => {
    await addEvents(1, 1);
    await addDead(2, 2);
    const late = await store.pool.connect();
    await late.query("BEGIN");
    await late.query(`INSERT INTO penstock.deliveries (day, seq, subscriber, state, changed_at)
      SELECT day, seq, 'a', 'dead', now() - interval '1 min' FROM penstock.events WHERE seq = 1`);
    await advanceIssues(store);
    expect(await only()).toMatchObject({ count: 1 });
    await late.query("COMMIT");
    late.release();
    await advanceIssues(store);
    expect((await listIssues(store)).map(({ count }) => count)).toEqual([1, 1]);
  });

  test("that commit very late are found by a look at all", async () => {
    await addDead(1, 1);
    await advanceIssues(store);
    await addDead(2, 2, { ago: "1 h" });
    await advanceIssues(store);
    expect(await only()).toMatchObject({ count: 1 });
    await advanceIssues(store, { all: true });
    expect(await only()).toMatchObject({ count: 2 });
  });

  test("of an endpoint are told apart by what it answers with, not by what it says", async () => {
    await addDead(1, 1, { subscriber: "ep_1", errorClass: "HTTP 500", message: "sorry, Mr Miller" });
    await addDead(2, 2, { subscriber: "ep_1", errorClass: "HTTP 500", message: "<html>" });
    await advanceIssues(store);
    expect(await only()).toMatchObject({ title: "HTTP 500", count: 2 });
  });

  test("with a new error each time are one issue after the first hundred", async () => {
    for (let n = 0; n < 105; n++) {
      const word = String.fromCharCode(97 + (n % 26), 97 + Math.floor(n / 26));
      await addDead(n + 1, n + 1, { message: `cannot read word ${word}` });
    }
    await advanceIssues(store);
    const issues = await listIssues(store, {}, { limit: 200 });
    expect(issues).toHaveLength(101);
    expect(issues.find(({ title }) => title.startsWith("other errors"))).toMatchObject({ count: 5, left: 5 });
  });

  test("in a lane that they block are an issue of that, too", async () => {
    await store.pool.query("UPDATE penstock.handlers SET lane_order = 'strict', on_dead = 'block'");
    await addDead(1, 1, { lane: "cnv_1" });
    await addDead(2, 2, { lane: "cnv_2" });
    await advanceIssues(store);
    expect(await listIssues(store, { kind: "blocked-lane" })).toMatchObject([{ subject: "a", count: 2, left: 2 }]);
    await setState("skipped");
    await resolveSettledIssues(store);
    expect((await listIssues(store)).map(({ state }) => state)).toEqual(["resolved", "resolved"]);
  });

  test("are sorted a page at a time, each by index", async () => {
    await addDead(1, 2_500);
    await addEvents(10_000, 50_000);
    await store.pool.query(`
      INSERT INTO penstock.deliveries (day, seq, subscriber, state)
      SELECT day, seq, 'a', 'succeeded' FROM penstock.events WHERE seq >= 10000;
      ANALYZE penstock.deliveries, penstock.attempts`);
    let pages = 0;
    const { plans } = await withPlans(store, async (alone) => {
      do pages++;
      while (await advanceIssues(alone));
    });
    expect(plansThatScan(plans)).toEqual([]);
    expect(mostRowsLeftOut(plans)).toBeLessThan(10);
    expect(mostRowsIn(plans)).toBeLessThanOrEqual(3_000);
    expect(pages).toBe(3);
    expect(await only()).toMatchObject({ count: 2_500, left: 2_500 });
  });
});

describe("an issue", () => {
  test("that is new is told once, and is an event of ours where somebody wants that", async () => {
    await addDead(4, 4, { errorClass: "RangeError" });
    await advanceIssues(store);
    expect(await ownEvents()).toEqual([]);
    await store.pool.query("DELETE FROM penstock.issues");
    await store.pool.query(
      "INSERT INTO penstock.handlers (name, kind, types) VALUES ('ep_1', 'endpoint', '{penstock.issue.opened}')",
    );
    await addDead(1, 2);
    await advanceIssues(store);
    await addDead(3, 3);
    await advanceIssues(store);
    const { id } = await only();
    expect(await told()).toEqual([`opened ${id}`]);
    expect(await ownEvents()).toMatchObject([
      {
        type: "penstock.issue.opened",
        data: { issueId: id, kind: "dead-letter", subject: "a", reopened: false, count: 2, exampleEventId: "evt_2" },
      },
    ]);
  });

  test("that an operator has resolved is opened again by what comes after that, and not by what came before", async () => {
    await addDead(1, 1);
    await advanceIssues(store);
    const { id } = await only();
    await addDead(2, 2, { ago: "1 min" });
    expect(await changeIssue(store, id, "resolve", { actor: "ada", note: "mended" })).toEqual({ changed: true });
    await advanceIssues(store);
    expect(await only()).toMatchObject({ state: "resolved", changedBy: "ada", note: "mended", count: 2, reopened: 0 });
    await addDead(3, 3);
    await advanceIssues(store);
    expect(await only()).toMatchObject({ state: "open", changedBy: null, note: null, count: 3, reopened: 1 });
    expect(await told()).toEqual([`opened ${id}`, `reopened ${id}`]);
  });

  test("of which nothing is left is resolved, and opened again when one of it dies anew", async () => {
    await addDead(1, 2);
    await advanceIssues(store);
    await setState("retrying", "seq = 1");
    await setState("skipped", "seq = 2");
    expect(await resolveSettledIssues(store)).toBe(0);
    expect(await only()).toMatchObject({ state: "open", left: 0, retrying: 1 });
    await store.pool.query("UPDATE penstock.deliveries SET state = 'succeeded', issue = NULL WHERE seq = 1");
    expect(await resolveSettledIssues(store)).toBe(1);
    expect(await only()).toMatchObject({ state: "resolved", changedBy: null });
    // It died before a worker resolved the issue, and is found only now.
    await addDead(3, 3, { ago: "1 min" });
    await advanceIssues(store);
    expect(await only()).toMatchObject({ state: "open", left: 1, reopened: 1 });
  });

  test("that is ignored is counted, and told no more", async () => {
    await addDead(1, 1);
    await advanceIssues(store);
    const { id } = await only();
    await changeIssue(store, id, "ignore", { actor: "ada" });
    await addDead(2, 2);
    await advanceIssues(store);
    await setState("skipped");
    await resolveSettledIssues(store);
    expect(await only()).toMatchObject({ state: "ignored", count: 2 });
    expect(await told()).toEqual([`opened ${id}`]);
  });

  test("is changed from the states that allow it, and says which one does not", async () => {
    await addDead(1, 1);
    await advanceIssues(store);
    const { id } = await only();
    const by = { actor: "ada" };
    expect(await changeIssue(store, id, "reopen", by)).toEqual({ changed: false, state: "open" });
    expect(await changeIssue(store, id, "acknowledge", by)).toEqual({ changed: true });
    expect(await changeIssue(store, id, "acknowledge", by)).toEqual({ changed: false, state: "acknowledged" });
    expect(await changeIssue(store, id, "resolve", by)).toEqual({ changed: true });
    expect(await changeIssue(store, id, "reopen", by)).toEqual({ changed: true });
    expect(await changeIssue(store, id + 1, "resolve", by)).toEqual({ changed: false, state: null });
  });

  test("is found by state, kind and subject, the newest first, page by page", async () => {
    await addDead(1, 1, { errorClass: "A", ago: "3 min" });
    await addDead(2, 2, { errorClass: "B", ago: "2 min" });
    await addDead(3, 3, { errorClass: "C", ago: "1 min", subscriber: "b" });
    await advanceIssues(store);
    const [c, b, a] = await listIssues(store);
    expect([c, b, a].map((issue) => issue?.title[0])).toEqual(["C", "B", "A"]);
    expect(await listIssues(store, {}, { limit: 1 })).toEqual([c]);
    expect(await listIssues(store, {}, { limit: 1, after: c!.id })).toEqual([b]);
    expect(await listIssues(store, { subject: "b" })).toEqual([c]);
    expect(await listIssues(store, { kind: "quarantine" })).toEqual([]);
    await changeIssue(store, b!.id, "resolve", { actor: "ada" });
    expect((await listIssues(store, { states: ["open", "acknowledged"] })).map(({ id }) => id)).toEqual([c!.id, a!.id]);
    expect(await showIssue(store, 999)).toBeNull();
  });
});

describe("the quarantine", () => {
  async function quarantine(from: number, to: number, reason: string): Promise<void> {
    await addEvents(from, to);
    await store.pool.query(
      `INSERT INTO penstock.quarantine (day, seq, reason)
       SELECT day, seq, $3 FROM penstock.events WHERE seq BETWEEN $1::int AND $2::int`,
      [from, to, reason],
    );
  }

  test("is an issue for each source and reason, until its events are dismissed", async () => {
    await quarantine(1, 3, "unknown-type");
    await quarantine(4, 4, "not-json");
    await advanceIssues(store);
    await advanceIssues(store);
    const issues = await listIssues(store);
    expect(issues.map(({ subject, title, count, left }) => [subject, title, count, left])).toEqual(
      expect.arrayContaining([
        ["buzzbip", "events in quarantine: not-json", 1, 1],
        ["buzzbip", "events in quarantine: unknown-type", 3, 3],
      ]),
    );
    await store.pool.query("UPDATE penstock.quarantine SET dismissed_at = now() WHERE reason = 'not-json'");
    await resolveSettledIssues(store);
    expect((await listIssues(store, { states: ["open"] })).map(({ count }) => count)).toEqual([3]);
  });

  test("is retried by issue", async () => {
    await quarantine(1, 3, "unknown-type");
    await quarantine(4, 4, "not-json");
    await advanceIssues(store);
    const issue = (await listIssues(store)).find(({ title }) => title.includes("unknown-type"))!;
    expect(await countIssueRetry(store, issue)).toMatchObject({ total: 3, quarantined: 3 });
    await retryIssue(store, issue, { actor: "ada" });
    const page = await createEngineStore(store, "test").transaction((tx) => tx.nextReplayPage());
    expect(page?.quarantined.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });
});

describe("endpoints", () => {
  test("that are down are an issue each, counted each time that they go down, until they are back", async () => {
    await store.pool.query(`
      INSERT INTO penstock.handlers (name, kind, types) VALUES ('ep_1', 'endpoint', '{*}'), ('ep_2', 'endpoint', '{*}');
      INSERT INTO penstock.endpoints (id, url, secret, concurrency, disable_after_ms, parks, failing_since)
      VALUES ('ep_1', 'http://a', '', 1, 1000, 1, now() - interval '1 min'), ('ep_2', 'http://b', '', 1, 1000, 0, now())`);
    for (let n = 0; n < 3; n++) await advanceIssues(store);
    expect(await only()).toMatchObject({ kind: "failing-endpoint", subject: "ep_1", count: 1, left: 1, example: null });
    await store.pool.query("UPDATE penstock.endpoints SET parks = 0, failing_since = NULL");
    await resolveSettledIssues(store);
    expect(await only()).toMatchObject({ state: "resolved", left: 0 });
    await store.pool.query("UPDATE penstock.endpoints SET parks = 1, failing_since = now() WHERE id = 'ep_1'");
    for (let n = 0; n < 3; n++) await advanceIssues(store);
    expect(await only()).toMatchObject({ state: "open", count: 2, reopened: 1 });
    expect(await countIssueRetry(store, await only())).toBe("not-retryable");
  });
});

test("requests that are refused are an issue for each source and reason, each request counted once", async () => {
  const refuse = (reason: string, ago: string) =>
    store.pool.query(
      `INSERT INTO penstock.refused_requests (source, at, reason, status, address, method, path, headers, findings, left_out)
       VALUES ('buzzbip', now() - $2::interval, $1, 401, '127.0.0.1', 'POST', '/', '{}', '{}', 0)`,
      [reason, ago],
    );
  await refuse("mismatch", "2 min");
  await refuse("mismatch", "1 min");
  await refuse("missing-signature", "1 min");
  for (let n = 0; n < 2; n++) await advanceIssues(store);
  await refuse("mismatch", "1 s");
  for (let n = 0; n < 2; n++) await advanceIssues(store);
  const issues = await listIssues(store, { kind: "refused" });
  expect(issues.map(({ subject, title, count, left }) => [subject, title, count, left])).toEqual([
    ["buzzbip", "requests are refused: mismatch", 3, null],
    ["buzzbip", "requests are refused: missing-signature", 1, null],
  ]);
});

test("a request that the composer sent to be refused is no issue, and a copy of it by somebody else is", async () => {
  const body = "0f".repeat(32);
  const refuse = (hash: string | null, source = "buzzbip") =>
    store.pool.query(
      `INSERT INTO penstock.refused_requests (source, reason, status, address, method, path, headers, findings, left_out, at,
                                              body_sha256)
       VALUES ($2, 'mismatch', 401, '127.0.0.1', 'POST', '/', '{}', '{}', 0, now(), $1)`,
      [hash, source],
    );
  const send = (way: string) =>
    recordAudit(store.pool, {
      actor: "ada",
      action: "composer.send",
      target: "buzzbip",
      detail: { way, bytes: 2, bodySha256: body },
    });
  const counts = async () =>
    (await listIssues(store, { kind: "refused" })).map(({ subject, count }) => [subject, count]);
  for (let n = 0; n < 2; n++) {
    await send("tampered");
    await refuse(body);
    await advanceIssues(store);
  }
  expect(await counts()).toEqual([]);
  // Before the composer sent it, once too often, of another body or source, or though it was to be accepted.
  await refuse(body);
  await advanceIssues(store);
  expect(await counts()).toEqual([["buzzbip", 1]]);
  await send("unsigned");
  await refuse("1e".repeat(32));
  await refuse(null);
  await refuse(body, "shop-eu");
  await advanceIssues(store);
  expect(await counts()).toEqual(
    expect.arrayContaining([
      ["buzzbip", 3],
      ["shop-eu", 1],
    ]),
  );
  await refuse(body);
  await send("signed");
  await refuse(body);
  await advanceIssues(store);
  expect(await counts()).toEqual(expect.arrayContaining([["buzzbip", 4]]));
});

describe("a source", () => {
  interface Sending {
    /** How many weeks before its last event are known. */
    readonly weeks?: number;
    readonly perHour?: number;
    /** How long ago its last event was, in SQL. */
    readonly last?: string;
    /** Since when an ingest listens. */
    readonly listening?: string;
    readonly heard?: string;
  }

  /** Has sent as much in each hour of some weeks, until its last event. */
  async function addSending(sending: Sending = {}): Promise<void> {
    const { weeks = 4, perHour = 10, last = "3 hours", listening = "1 year", heard = "10 seconds" } = sending;
    await store.pool.query(
      `INSERT INTO penstock.source_hours (source, hour, requests)
       SELECT 'shop-eu', hour, $2 FROM generate_series(date_trunc('hour', now() - $3::interval, 'UTC') - $1 * interval '168 hours',
                                                       now() - $3::interval, interval '1 hour') AS hour`,
      [weeks, perHour, last],
    );
    await store.pool.query(
      `INSERT INTO penstock.source_activity (source, event_at, counted_since, listening_since, listened_at)
       SELECT 'shop-eu', now() - $2::interval, now() - $2::interval - $1 * interval '168 hours', now() - $3::interval,
              now() - $4::interval`,
      [weeks, last, listening, heard],
    );
  }

  const learnt = [{ name: "shop-eu", silentAfterMs: null }];
  const silenceBy = async (silentAfterMs: number | false | null) =>
    (await readSilence(store.pool, [{ name: "shop-eu", silentAfterMs }]))[0]!;
  const sends = (): Promise<void> =>
    recordSourceActivity(store, [{ source: "shop-eu", eventAgoMs: 0, refusedAgoMs: null, refused: 0, requests: 1 }]);

  test("that has gone silent is an issue until it sends again, and another occurrence the next time", async () => {
    await addSending();
    for (let n = 0; n < 3; n++) {
      expect(await noteSilentSources(store, learnt)).toMatchObject([{ state: "silent", usual: expect.any(Number) }]);
    }
    expect(await only()).toMatchObject({ kind: "silent-source", subject: "shop-eu", state: "open", count: 1 });
    expect(await resolveSettledIssues(store)).toBe(0);
    await sends();
    expect(await resolveSettledIssues(store)).toBe(1);
    expect((await silenceBy(null)).state).toBe("sends");
    await store.pool.query("UPDATE penstock.issues SET last_seen = now() - interval '9 hours'");
    await store.pool.query("UPDATE penstock.source_activity SET event_at = now() - interval '8 hours'");
    await noteSilentSources(store, [{ name: "shop-eu", silentAfterMs: 3_600_000 }]);
    const title = "it has sent nothing for longer than its silentAfter of 1 h";
    expect(await only()).toMatchObject({ state: "open", count: 2, reopened: 1, title });
    expect(await told()).toEqual(["opened 1", "reopened 1"]);
  });

  test.each<[string, Sending, object]>([
    [
      "of which two weeks are known is learnt",
      { weeks: 2 },
      { state: "learning", usual: null, learnsUntil: expect.any(Date) },
    ],
    ["that sends once in a while may be silent by chance", { perHour: 1 }, { state: "sends" }],
    ["that sent within the hour is not silent", { last: "20 minutes" }, { state: "sends", usual: 0 }],
    ["that no ingest listens to is not called silent", { heard: "1 hour" }, { state: "unheard" }],
    [
      "is listened to for some minutes only: nobody knows what it sent before",
      { listening: "5 minutes" },
      { state: "sends" },
    ],
    ["stays silent after weeks, and is not compared with its own silence", { last: "50 days" }, { state: "silent" }],
  ])("%s", async (_, sending, expected) => {
    await addSending(sending);
    expect(await silenceBy(null)).toMatchObject(expected);
  });

  test("that sends nothing at these hours of the week is not silent, and one week without it counts only among few", async () => {
    await addSending({ weeks: 6 });
    const forget = (weeks: number) =>
      store.pool.query(
        `DELETE FROM penstock.source_hours WHERE hour > now() - $1 * interval '168 hours' - interval '4 hours'
                                             AND hour < now() - $1 * interval '168 hours' + interval '1 hour'`,
        [weeks],
      );
    await forget(2);
    expect(await silenceBy(null)).toMatchObject({ state: "silent" });
    await forget(3);
    expect(await silenceBy(null)).toMatchObject({ state: "sends", usual: 0 });
  });

  test("is silent after the time of its settings, without a history, and never where they say so", async () => {
    expect((await silenceBy(60_000)).state).toBe("new");
    await addSending({ weeks: 0 });
    expect((await silenceBy(2 * 3_600_000)).state).toBe("silent");
    expect((await silenceBy(4 * 3_600_000)).state).toBe("sends");
    expect((await silenceBy(false)).state).toBe("unwatched");
  });

  test("that is listened to again after a pause is listened to since then, and its requests are counted by the hour", async () => {
    await addSending({ weeks: 0, heard: "6 minutes" });
    await sends();
    await sends();
    const { rows } = await store.pool.query(
      `SELECT (SELECT requests::int FROM penstock.source_hours WHERE hour = date_trunc('hour', now(), 'UTC')) AS requests,
              listening_since > now() - interval '1 minute' AS again FROM penstock.source_activity`,
    );
    expect(rows).toEqual([{ requests: 2, again: true }]);
  });
});

describe("a retry of an issue", () => {
  test("counts first, takes what is left of it and nothing else, and can be undone", async () => {
    await addDead(1, 3);
    await addDead(4, 5, { errorClass: "RangeError" });
    await setState("skipped", "seq = 3");
    await advanceIssues(store);
    const issue = (await listIssues(store)).find(({ title }) => title.startsWith("TypeError"))!;
    expect(await countIssueRetry(store, issue)).toMatchObject({ total: 2, handlers: [{ name: "a", count: 2 }] });
    const replay = await retryIssue(store, issue, { actor: "ada" });
    await createEngineStore(store, "test").transaction((tx) => tx.nextReplayPage());
    expect(await showReplay(store, replay!)).toMatchObject({ enqueued: 2, done: 0, states: { pending: 2 } });
    expect(await showIssue(store, issue.id)).toMatchObject({ left: 0, retrying: 2, state: "open", replays: [replay] });
    await resolveSettledIssues(store);
    await cancelReplay(store, replay!, "ada");
    await advanceIssues(store);
    expect(await showIssue(store, issue.id)).toMatchObject({ left: 2, retrying: 0, state: "open", count: 2 });
  });

  test("is opened anew by what dies again, and resolved once all has succeeded", async () => {
    await addDead(1, 2);
    await advanceIssues(store);
    const issue = await only();
    await retryIssue(store, issue, { actor: "ada" });
    const engine = createEngineStore(store, "test");
    await engine.transaction((tx) => tx.nextReplayPage());
    const claimed = await engine.claimDeliveries({ subscriber: "a", limit: 10, leaseMs: 60_000 });
    expect(claimed.map(({ seq }) => seq)).toEqual([1, 2]);
    const finish = (of: typeof claimed, state: "succeeded" | "dead") =>
      engine.finishDeliveries(
        of.map((delivery) => ({ delivery, result: { event: delivery, subscriber: "a", state, attempts: 1 } })),
      );
    await finish(claimed.slice(0, 1), "dead");
    await finish(claimed.slice(1), "succeeded");
    expect(await only()).toMatchObject({ left: 0, retrying: 0 });
    await resolveSettledIssues(store);
    await advanceIssues(store);
    expect(await only()).toMatchObject({ state: "open", reopened: 1, count: 3, left: 1 });
  });
});
