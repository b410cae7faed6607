import { randomInt } from "node:crypto";
import { IntakeUnavailableError, type VerifiedEvent } from "@penstock/intake";
import type { Store } from "@penstock/store";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  committedRows,
  intakeOn,
  openMigratedStore,
  openStore,
  record,
  recordedRows,
  verified,
  verifiedMany,
} from "./intake-under-test.ts";

let store: Store;

beforeAll(async () => {
  store = await openMigratedStore();
});
beforeEach(async () => {
  await store.pool.query("TRUNCATE penstock.batches, penstock.event_keys, penstock.events, penstock.pending");
});
afterAll(() => store.close());

const DAY_MS = 86_400_000;

describe("batches", () => {
  test("a lone event is committed when it is acknowledged, byte for byte, and its batch has a job", async () => {
    const { intake, added } = intakeOn(store);
    const event = verified({ id: "evt_alone", text: "\u00e4\u{1f600} \\u0041" });
    await intake.accept(event);
    const [row, ...others] = await committedRows(store);
    expect(others).toEqual([]);
    expect(row).toMatchObject({ event_id: "evt_alone", problem: null });
    expect(row?.body.equals(event.body)).toBe(true);
    expect(added).toEqual([[row?.batch]]);
  });

  test("a thousand events at once need a few commits and jobs, and keep their order", async () => {
    const { intake, commits, added } = intakeOn(store);
    const events = verifiedMany(1_000);
    await Promise.all(events.map((event) => intake.accept(event)));
    const rows = await committedRows(store);
    expect(rows.map(({ event_id }) => event_id)).toEqual(events.map(({ identity }) => identity.id));
    await intake.close();
    expect([...new Set(rows.map(({ batch }) => batch))]).toEqual(added.flat());
    expect(commits.length).toBeLessThanOrEqual(6);
    expect(added.length).toBeLessThanOrEqual(commits.length);
  });

  test("what arrives while a batch is committed forms the next one together", async () => {
    const { intake, commits, added } = intakeOn(store);
    const first = intake.accept(verified());
    await new Promise((resolve) => setImmediate(resolve));
    const rest = verifiedMany(50).map((event) => intake.accept(event));
    await Promise.all([first, ...rest]);
    await intake.close();
    expect(commits).toEqual([1, 50]);
    expect(added).toHaveLength(2);
  });

  test("a batch is bounded by count", async () => {
    const { intake, commits } = intakeOn(store, { maxBatchEvents: 10 });
    await Promise.all(verifiedMany(35).map((event) => intake.accept(event)));
    expect(commits).toEqual([10, 10, 10, 5]);
    expect(await committedRows(store)).toHaveLength(35);
  });

  test("commits that follow each other closely share a job", async () => {
    const { intake, commits, added } = intakeOn(store, { maxBatchEvents: 1 });
    await Promise.all(verifiedMany(100).map((event) => intake.accept(event)));
    await intake.close();
    expect(commits).toHaveLength(100);
    expect((await committedRows(store)).map(({ batch }) => batch)).toEqual(added.flat());
    expect(added.length).toBeLessThan(100);
  });

  test("a batch is bounded by bytes, and one event fits whatever its size", async () => {
    const { intake, commits } = intakeOn(store, { maxBatchBytes: 10_000 });
    const [large, small] = ["x".repeat(20_000), "y".repeat(4_000)];
    const texts = [small, small, large, small, small, small];
    await Promise.all(texts.map((text) => intake.accept(verified({ text }))));
    const rows = await committedRows(store);
    expect(rows).toHaveLength(6);
    const bytes = commits.map((size) => rows.splice(0, size).reduce((sum, { body }) => sum + body.length, 0));
    expect(bytes.filter((sum) => sum > 10_000)).toHaveLength(1);
    expect(bytes.length).toBeLessThanOrEqual(4);
  });
});

describe("duplicates and conflicts, once recorded", () => {
  test("ten identical events at once are one event and nine duplicates", async () => {
    const { intake } = intakeOn(store);
    const event = verified({ id: "evt_ten" });
    await Promise.all(Array.from({ length: 10 }, () => intake.accept(event)));
    expect(await record(store)).toEqual({ events: 1, duplicates: 9, conflicts: 0 });
    expect(await recordedRows(store)).toHaveLength(1);
  });

  test("what is only sent again leaves nothing behind", async () => {
    const { intake } = intakeOn(store);
    const event = verified();
    await intake.accept(event);
    const once = await recordedRows(store);
    await intake.accept(event);
    expect(await record(store)).toEqual({ events: 0, duplicates: 1, conflicts: 0 });
    expect(await recordedRows(store)).toEqual(once);
    expect(await committedRows(store)).toHaveLength(1);
  });

  test("a storm of one event costs no commit per copy", async () => {
    const { intake, commits } = intakeOn(store);
    const [event, other] = [verified({ id: "evt_storm" }), verified({ id: "evt_storm", text: "another" })];
    await Promise.all(Array.from({ length: 2_000 }, (_, at) => intake.accept(at % 2 === 0 ? event : other)));
    expect(commits.length).toBeLessThan(15);
    expect(await record(store)).toEqual({ events: 2, duplicates: 1_998, conflicts: 1 });
    expect(await recordedRows(store)).toHaveLength(2);
  });

  test("another body with an id seen before is kept, marked and pending; sent again, it is a duplicate", async () => {
    const { intake, added } = intakeOn(store);
    const [original, other, third] = ["one", "two", "three"].map((text) => verified({ id: "evt_same", text }));
    const kept: (readonly [number, number])[] = [];
    for (const event of [original!, other!, other!, original!, third!]) {
      await intake.accept(event);
      const { events, conflicts } = await record(store);
      kept.push([events, conflicts]);
    }
    expect(kept).toEqual([
      [1, 0],
      [1, 1],
      [0, 0],
      [0, 0],
      [1, 1],
    ]);
    const rows = await recordedRows(store);
    expect(rows.map(({ problem }) => problem)).toEqual([null, "id-conflict", "id-conflict"]);
    expect(rows.map(({ body }) => body)).toEqual([original!.body, other!.body, third!.body]);
    await intake.close();
    expect(added.flat()).toHaveLength(5);
  });

  test("two bodies with one id in the same turn are one event and one conflict", async () => {
    const { intake } = intakeOn(store);
    const twins = ["one", "two"].map((text) => verified({ id: "evt_twins", text }));
    await Promise.all([...twins, ...twins, ...twins].map((event) => intake.accept(event)));
    expect(await record(store)).toEqual({ events: 2, duplicates: 4, conflicts: 1 });
    expect((await recordedRows(store)).map(({ problem }) => problem)).toEqual([null, "id-conflict"]);
  });

  test("one id from two sources is two events", async () => {
    const { intake } = intakeOn(store);
    const sources = ["buzzbip", "other"];
    await Promise.all(sources.map((source) => intake.accept(verified({ id: "evt_shared" }, source))));
    expect((await recordedRows(store)).map(({ source }) => source).toSorted()).toEqual(sources);
  });

  test.each([
    ["no id", '{"type":"message.received","data":{}}', "no-envelope"],
    ["an id that is no string", '{"id":7,"type":"message.received","data":{}}', "no-envelope"],
    ["an empty id", '{"id":"","type":"message.received","data":{}}', "no-envelope"],
    ["no JSON", "id=evt_1&type=message.received", "not-json"],
    ["no UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), "not-utf8"],
    ["no bytes at all", "", "not-json"],
  ])("an event with %s is kept, and its body is what makes it a duplicate", async (_, content, problem) => {
    const { intake } = intakeOn(store);
    const [event, other] = [Buffer.from(content), Buffer.concat([Buffer.from(content), Buffer.from(" ")])].map((body) =>
      verified(body),
    );
    for (const one of [event!, event!, other!]) await intake.accept(one);
    expect(await recordedRows(store)).toMatchObject([
      { event_id: null, problem, body: event!.body },
      { event_id: null, problem, body: other!.body },
    ]);
  });

  test.each([
    ["a NUL", "evt_\0_nul", "evt_\ufffd_nul"],
    ["a lone surrogate", "evt_\ud800_half", "evt_\ufffd_half"],
    ["5 KB", `evt_${"i".repeat(5_000)}`, `evt_${"i".repeat(252)}`],
    ["a character cut in half by the display's limit", `${"i".repeat(255)}\u{1f600}`, `${"i".repeat(255)}\ufffd`],
    ["quotes and backslashes", `evt_"'\\{},`, `evt_"'\\{},`],
  ])("an id with %s is kept, shown cleaned, and told from its like", async (_, id, shown) => {
    const { intake } = intakeOn(store);
    const [event, again, other] = [
      verified({ id }),
      verified({ id, text: "another body" }),
      verified({ id: `${id}2` }),
    ];
    for (const one of [event, event, again, other]) await intake.accept(one);
    const rows = await recordedRows(store);
    expect(rows[0]).toMatchObject({ event_id: shown, problem: null, body: event.body });
    expect(rows.map(({ body, problem }) => [body, problem])).toEqual([
      [event.body, null],
      [again.body, "id-conflict"],
      [other.body, null],
    ]);
  });

  test("ids that differ only in half a surrogate pair are different ids", async () => {
    const { intake } = intakeOn(store);
    const events = ["\ud800", "\ud801", "\udc00", "\ufffd"].map((id) => verified({ id: `evt_${id}` }));
    await Promise.all(events.map((event) => intake.accept(event)));
    expect((await recordedRows(store)).map(({ problem }) => problem)).toEqual([null, null, null, null]);
  });
});

describe("what is stored beside the body", () => {
  test.each([
    ["a day inside the window", -399 * DAY_MS, null],
    ["older than the window", -401 * DAY_MS, "too-old"],
    ["in the future", 5 * DAY_MS, null],
  ])("an event whose createdAt is %s is stored and marked as it deserves", async (_, age, problem) => {
    const { intake } = intakeOn(store);
    const createdAt = new Date(Date.now() + age);
    await intake.accept(verified({ createdAt: createdAt.toISOString() }));
    expect(await recordedRows(store)).toMatchObject([{ problem, created_at: createdAt }]);
  });

  test.each(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])(
    "a createdAt at the ends of time (%s) is stored",
    async (createdAt) => {
      const { intake } = intakeOn(store);
      await intake.accept(verified({ createdAt }));
      expect(await recordedRows(store)).toMatchObject([{ created_at: new Date(createdAt) }]);
    },
  );

  test("subjects are stored as they are, whatever characters they hold", async () => {
    const { intake } = intakeOn(store);
    const contactId = `c "quoted" \\ {a,b} NULL \u{1f600}\n`;
    await intake.accept(verified({ contactId }));
    expect((await committedRows(store))[0]?.subjects[0]).toBe(contactId);
    expect((await recordedRows(store))[0]?.subjects[0]).toBe(contactId);
  });

  test("what Postgres cannot hold in a type or a subject is cleaned, and its event stored", async () => {
    const { intake } = intakeOn(store);
    const event = verified();
    const identity = { ...event.identity, type: "a\0b\ud800", subjects: ["\udc00", "c\0"] };
    await Promise.all([verified(), { ...event, identity }, verified()].map((one) => intake.accept(one)));
    expect((await recordedRows(store))[1]).toMatchObject({ type: "a\ufffdb\ufffd", subjects: ["\ufffd", "c\ufffd"] });
  });
});

describe("trouble with a batch", () => {
  test("what Postgres refuses is refused for each sender of the batch, and taken when it is sent again", async () => {
    await store.pool.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'check_violation'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON penstock.batches FOR EACH ROW EXECUTE FUNCTION refuse()`);
    try {
      const { intake, commits, added } = intakeOn(store);
      const events = verifiedMany(20);
      for (const result of await Promise.allSettled(events.map((event) => intake.accept(event)))) {
        expect(result).toMatchObject({ status: "rejected", reason: expect.any(IntakeUnavailableError) });
      }
      expect([commits, added]).toEqual([[20], []]);
      await store.pool.query("DROP TRIGGER refuse ON penstock.batches");
      await Promise.all(events.map((event) => intake.accept(event)));
      expect(await recordedRows(store)).toHaveLength(20);
    } finally {
      await store.pool.query("DROP FUNCTION refuse() CASCADE");
    }
  });

  test("a day without a partition gets one", async () => {
    const { rows } = await store.pool.query<{ name: string }>(
      "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'penstock.batches'::regclass",
    );
    for (const { name } of rows) await store.pool.query(`DROP TABLE ${name}`);
    const { intake } = intakeOn(store);
    await Promise.all(verifiedMany(20).map((event) => intake.accept(event)));
    expect(await recordedRows(store)).toHaveLength(20);
  });
});

describe("several at a time", () => {
  test("intakes and workers with the same ids in different orders never fail, and each event is there once", async () => {
    const other = openStore(store.pool.options.connectionString!);
    const events = verifiedMany(400);
    const intakes = [intakeOn(store).intake, intakeOn(store).intake, intakeOn(other).intake, intakeOn(other).intake];
    await Promise.all(intakes.flatMap((intake) => shuffled(events).map((event) => intake.accept(event))));
    const found = await Promise.all([store, other, store, other].map(record));
    expect(found.reduce((sum, one) => sum + one.events, 0)).toBe(400);
    expect(found.reduce((sum, one) => sum + one.duplicates, 0)).toBe(1_200);
    expect(await recordedRows(store)).toHaveLength(400);
    await other.close();
  });

  test.each([
    ["events", { maxWaitingEvents: 5 }],
    ["bytes", { maxWaitingBytes: 5 * verified().body.length }],
  ])("what arrives when too many %s wait is refused at once, and nothing else is", async (_, limit) => {
    const { intake } = intakeOn(store, limit);
    const results = await Promise.allSettled(verifiedMany(8).map((event) => intake.accept(event)));
    expect(results.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 5 }, () => "fulfilled"),
      ...Array.from({ length: 3 }, () => "rejected"),
    ]);
    expect(results.at(-1)).toMatchObject({ reason: expect.any(IntakeUnavailableError) });
    await intake.accept(verified());
    expect(await committedRows(store)).toHaveLength(6);
  });

  test("close answers what was accepted before it, with its jobs, and refuses what comes after", async () => {
    const { intake, added } = intakeOn(store, { maxBatchEvents: 10 });
    const accepted = Promise.all(verifiedMany(30).map((event) => intake.accept(event)));
    const closed = intake.close();
    await expect(intake.accept(verified())).rejects.toThrow(IntakeUnavailableError);
    await closed;
    expect(await accepted).toHaveLength(30);
    const rows = await committedRows(store);
    expect(rows).toHaveLength(30);
    expect([...new Set(rows.map(({ batch }) => batch))]).toEqual(added.flat());
  });

  function shuffled(events: readonly VerifiedEvent[]): VerifiedEvent[] {
    const left = [...events];
    return events.map(() => left.splice(randomInt(left.length), 1)[0]!);
  }
});
