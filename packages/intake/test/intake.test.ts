import { randomInt } from "node:crypto";
import { IntakeUnavailableError, type VerifiedEvent } from "@penstock/intake";
import type { Store } from "@penstock/store";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { intakeOn, openMigratedStore, openStore, storedRows, verified, verifiedMany } from "./intake-under-test.ts";

let store: Store;

beforeAll(async () => {
  store = await openMigratedStore();
});
beforeEach(async () => {
  await store.pool.query("TRUNCATE penstock.event_keys, penstock.events, penstock.pending");
});
afterAll(() => store.close());

const DAY_MS = 86_400_000;

describe("batches", () => {
  test("a lone event is committed when it is acknowledged, byte for byte, and its batch has a job", async () => {
    const { intake, added } = intakeOn(store);
    const event = verified({ id: "evt_alone", text: "\u00e4\u{1f600} \\u0041" });
    expect(await intake.accept(event)).toBe("new");
    const [row, ...others] = await storedRows(store);
    expect(others).toEqual([]);
    expect(row).toMatchObject({ event_id: "evt_alone", problem: null, batch_id: added[0] });
    expect(row?.body.equals(event.body)).toBe(true);
    expect(added).toHaveLength(1);
  });

  test("a thousand events at once need a few commits and jobs, and keep their order", async () => {
    const { intake, added } = intakeOn(store);
    const events = verifiedMany(1_000);
    const outcomes = await Promise.all(events.map((event) => intake.accept(event)));
    expect(new Set(outcomes)).toEqual(new Set(["new"]));
    const rows = await storedRows(store);
    expect(rows.map(({ event_id }) => event_id)).toEqual(events.map(({ identity }) => identity.id));
    await intake.close();
    expect(new Set(rows.map(({ batch_id }) => batch_id))).toEqual(new Set(added));
    expect(added.length).toBeLessThanOrEqual(3);
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
    expect(await storedRows(store)).toHaveLength(35);
  });

  test("commits that follow each other closely share a job", async () => {
    const { intake, commits, added } = intakeOn(store, { maxBatchEvents: 1 });
    await Promise.all(verifiedMany(100).map((event) => intake.accept(event)));
    await intake.close();
    expect(commits).toHaveLength(100);
    const batches = (await storedRows(store)).map(({ batch_id }) => batch_id);
    expect(new Set(batches)).toEqual(new Set(added));
    expect(added.length).toBeLessThan(100);
  });

  test("a batch is bounded by bytes, and one event fits whatever its size", async () => {
    const { intake, commits } = intakeOn(store, { maxBatchBytes: 10_000 });
    const [large, small] = ["x".repeat(20_000), "y".repeat(4_000)];
    const texts = [small, small, large, small, small, small];
    await Promise.all(texts.map((text) => intake.accept(verified({ text }))));
    const rows = await storedRows(store);
    expect(rows).toHaveLength(6);
    const bytes = commits.map((size) => rows.splice(0, size).reduce((sum, { body }) => sum + body.length, 0));
    expect(bytes.filter((sum) => sum > 10_000)).toHaveLength(1);
    expect(bytes.length).toBeLessThanOrEqual(4);
  });

  test("a batch of duplicates gets no job", async () => {
    const { intake, added } = intakeOn(store);
    const event = verified();
    await intake.accept(event);
    await intake.accept(event);
    await intake.close();
    expect(added).toHaveLength(1);
  });
});

describe("duplicates and conflicts", () => {
  test("ten identical events at once are one new event and nine duplicates", async () => {
    const { intake } = intakeOn(store);
    const event = verified({ id: "evt_ten" });
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => intake.accept(event)));
    expect(outcomes.toSorted()).toEqual([...Array.from({ length: 9 }, () => "duplicate"), "new"]);
    expect(await storedRows(store)).toHaveLength(1);
  });

  test("a storm of one event costs no commit per copy", async () => {
    const { intake, commits } = intakeOn(store);
    const [event, other] = [verified({ id: "evt_storm" }), verified({ id: "evt_storm", text: "another" })];
    const outcomes = await Promise.all(
      Array.from({ length: 2_000 }, (_, at) => intake.accept(at % 2 === 0 ? event : other)),
    );
    expect(Object.groupBy(outcomes, (outcome) => outcome)).toMatchObject({ new: ["new"], conflict: ["conflict"] });
    expect(commits.length).toBeLessThan(5);
    expect(await storedRows(store)).toHaveLength(2);
  });

  test("another body with an id seen before is kept, marked and pending; sent again, it is a duplicate", async () => {
    const { intake, added } = intakeOn(store);
    const [original, other, third] = ["one", "two", "three"].map((text) => verified({ id: "evt_same", text }));
    expect(await intake.accept(original!)).toBe("new");
    expect(await intake.accept(other!)).toBe("conflict");
    expect(await intake.accept(other!)).toBe("duplicate");
    expect(await intake.accept(original!)).toBe("duplicate");
    expect(await intake.accept(third!)).toBe("conflict");
    const rows = await storedRows(store);
    expect(rows.map(({ problem }) => problem)).toEqual([null, "id-conflict", "id-conflict"]);
    expect(rows.map(({ body }) => body)).toEqual([original!.body, other!.body, third!.body]);
    await intake.close();
    expect([...new Set(rows.map(({ batch_id }) => batch_id))]).toEqual(added);
  });

  test("two bodies with one id in the same turn are one new event and one conflict", async () => {
    const { intake } = intakeOn(store);
    const twins = ["one", "two"].map((text) => verified({ id: "evt_twins", text }));
    const copies = [...twins, ...twins, ...twins];
    const outcomes = await Promise.all(copies.map((event) => intake.accept(event)));
    expect(outcomes.toSorted()).toEqual(["conflict", ...Array.from({ length: 4 }, () => "duplicate"), "new"]);
    expect((await storedRows(store)).map(({ problem }) => problem)).toEqual([null, "id-conflict"]);
  });

  test("one id from two sources is two events", async () => {
    const { intake } = intakeOn(store);
    const sent = ["buzzbip", "other"].map((source) => intake.accept(verified({ id: "evt_shared" }, source)));
    expect(await Promise.all(sent)).toEqual(["new", "new"]);
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
    expect(await intake.accept(event!)).toBe("quarantined");
    expect(await intake.accept(event!)).toBe("duplicate");
    expect(await intake.accept(other!)).toBe("quarantined");
    expect(await storedRows(store)).toMatchObject([
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
    expect(await intake.accept(event)).toBe("new");
    expect(await intake.accept(event)).toBe("duplicate");
    expect(await intake.accept(again)).toBe("conflict");
    expect(await intake.accept(other)).toBe("new");
    expect((await storedRows(store))[0]).toMatchObject({ event_id: shown, problem: null, body: event.body });
  });

  test("ids that differ only in half a surrogate pair are different ids", async () => {
    const { intake } = intakeOn(store);
    const events = ["\ud800", "\ud801", "\udc00", "\ufffd"].map((id) => verified({ id: `evt_${id}` }));
    const outcomes = await Promise.all(events.map((event) => intake.accept(event)));
    expect(outcomes).toEqual(["new", "new", "new", "new"]);
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
    const outcome = await intake.accept(verified({ createdAt: createdAt.toISOString() }));
    expect(outcome).toBe(problem === null ? "new" : "quarantined");
    expect(await storedRows(store)).toMatchObject([{ problem, created_at: createdAt }]);
  });

  test.each(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])(
    "a createdAt at the ends of time (%s) is stored",
    async (createdAt) => {
      const { intake } = intakeOn(store);
      await intake.accept(verified({ createdAt }));
      expect(await storedRows(store)).toMatchObject([{ created_at: new Date(createdAt) }]);
    },
  );

  test("subjects are stored as they are, whatever characters they hold", async () => {
    const { intake } = intakeOn(store);
    const contactId = `c "quoted" \\ {a,b} NULL \u{1f600}\n`;
    await intake.accept(verified({ contactId }));
    expect((await storedRows(store))[0]?.subjects[0]).toBe(contactId);
  });
});

describe("trouble with single events", () => {
  test("an event that Postgres refuses fails alone, and its neighbours are stored", async () => {
    await store.pool.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = 'check_violation'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON penstock.events
        FOR EACH ROW WHEN (NEW.event_id = 'evt_refused') EXECUTE FUNCTION refuse()`);
    try {
      const { intake, added } = intakeOn(store);
      const events = [...verifiedMany(9), verified({ id: "evt_refused" }), ...verifiedMany(9)];
      const results = await Promise.allSettled(events.map((event) => intake.accept(event)));
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(18);
      expect(results[9]).toMatchObject({ status: "rejected", reason: expect.any(IntakeUnavailableError) });
      const rows = await storedRows(store);
      expect(rows).toHaveLength(18);
      expect([...new Set(rows.map(({ batch_id }) => batch_id))]).toEqual(added);
      // It left no key behind either: were the cause gone, the sender's next try would be taken.
      await store.pool.query("DROP TRIGGER refuse ON penstock.events");
      expect(await intake.accept(events[9]!)).toBe("new");
    } finally {
      await store.pool.query("DROP FUNCTION refuse() CASCADE");
    }
  });

  test("a day without a partition gets one", async () => {
    const { rows } = await store.pool.query<{ name: string }>(
      "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'penstock.events'::regclass",
    );
    for (const { name } of rows) await store.pool.query(`DROP TABLE ${name}`);
    const { intake } = intakeOn(store);
    const outcomes = await Promise.all(verifiedMany(20).map((event) => intake.accept(event)));
    expect(new Set(outcomes)).toEqual(new Set(["new"]));
    expect(await storedRows(store)).toHaveLength(20);
  });
});

describe("several at a time", () => {
  test("two intakes with the same ids in different orders never fail, and store each once", async () => {
    const other = openStore(store.pool.options.connectionString!);
    const events = verifiedMany(400);
    const intakes = [intakeOn(store).intake, intakeOn(store).intake, intakeOn(other).intake, intakeOn(other).intake];
    const outcomes = await Promise.all(
      intakes.flatMap((intake) => shuffled(events).map((event) => intake.accept(event))),
    );
    expect(outcomes.filter((outcome) => outcome === "new")).toHaveLength(400);
    expect(outcomes.filter((outcome) => outcome === "duplicate")).toHaveLength(1_200);
    expect(await storedRows(store)).toHaveLength(400);
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
    expect(await intake.accept(verified())).toBe("new");
    expect(await storedRows(store)).toHaveLength(6);
  });

  test("close answers what was accepted before it, with its jobs, and refuses what comes after", async () => {
    const { intake, added } = intakeOn(store, { maxBatchEvents: 10 });
    const accepted = Promise.all(verifiedMany(30).map((event) => intake.accept(event)));
    const closed = intake.close();
    await expect(intake.accept(verified())).rejects.toThrow(IntakeUnavailableError);
    await closed;
    expect(await accepted).toHaveLength(30);
    const rows = await storedRows(store);
    expect(rows).toHaveLength(30);
    expect(new Set(rows.map(({ batch_id }) => batch_id))).toEqual(new Set(added));
  });

  function shuffled(events: readonly VerifiedEvent[]): VerifiedEvent[] {
    const left = [...events];
    return events.map(() => left.splice(randomInt(left.length), 1)[0]!);
  }
});
