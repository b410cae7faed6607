import { parseQuery, type Term } from "@penstock/schemas/search";
import { commitBatch, countEvents, createEngineStore, searchEvents, type Store } from "@penstock/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newEvent, openMigrated, process } from "./open-test-store.ts";
import { mostRowsIn, plansThatScan, withPlans } from "./plans.ts";

function termsOf(query: string): readonly Term[] {
  const parsed = parseQuery(query);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.terms;
}

const body = (value: object): Buffer => Buffer.from(JSON.stringify(value));

// Filters are missing where an older worker recorded events, and for a moment where they are made after the commit.
describe.each([
  ["with all filters of words", ""],
  [
    "without the oldest filters",
    "DELETE FROM penstock.event_words WHERE seq = (SELECT min(seq) FROM penstock.event_words)",
  ],
  [
    "without the newest filters",
    "DELETE FROM penstock.event_words WHERE seq = (SELECT max(seq) FROM penstock.event_words)",
  ],
  [
    "without the filters between",
    "DELETE FROM penstock.event_words WHERE seq <> ALL (SELECT unnest(ARRAY[min(seq), max(seq)]) FROM penstock.event_words)",
  ],
  ["without any filters of words", "DELETE FROM penstock.event_words"],
])("a query %s", (_, removeFilters) => {
  let store: Store;
  beforeAll(async () => {
    store = await openMigrated();
    await process(store, [
      newEvent("m1", {
        type: "message.received",
        subjects: ["cnt_1", "conv_1"],
        body: body({ data: { contactId: "cnt_1", text: "Where is my café refund?", amount: 12.5, tags: ["vip"] } }),
      }),
      newEvent("m2", {
        type: "message.sent",
        subjects: ["cnt_2"],
        source: "shop",
        body: body({ data: { contactId: "cnt_2", text: "refunded 50%_" } }),
      }),
    ]);
    await process(store, [
      newEvent("c1", { type: "contact.created", subjects: ["cnt_1"], body: Buffer.from("name=Noor&note=refund") }),
    ]);
    await process(store, [newEvent("odd", { type: null, subjects: [], body: Buffer.from([0xff, 0xfe]) })]);
    await commitBatch(store, [
      newEvent("w1", { type: "message.received", body: body({ data: { contactId: "cnt_1", text: "refund" } }) }),
    ]);
    await store.pool.query(`
      INSERT INTO penstock.handlers (name, kind, types)
      VALUES ('inbox', 'transactional', '{message.sent}'), ('ep_1', 'endpoint', '{}'), ('ep_2', 'endpoint', '{}');
      INSERT INTO penstock.quarantine (seq, day, reason) SELECT seq, day, 'not-utf8' FROM penstock.events
       WHERE event_id = 'odd';
      INSERT INTO penstock.deliveries (day, seq, subscriber, state)
      SELECT day, seq, s, CASE WHEN s = 'ep_1' AND event_id = 'm2' THEN 'dead' WHEN s = 'ep_2' AND event_id = 'c1'
             THEN 'retrying' ELSE 'succeeded' END
        FROM penstock.events, unnest(ARRAY['inbox', 'ep_1', 'ep_2']) AS s WHERE event_id <> 'odd';
      ${removeFilters}`);
    return () => store.close();
  });

  test.each([
    ["", ["w1", "odd", "c1", "m2", "m1"]],
    ["type:message.*", ["w1", "m2", "m1"]],
    ["type:mess*", ["w1", "m2", "m1"]],
    ["type:message.sent", ["m2"]],
    ["type:message.sent type:contact.created", ["c1", "m2"]],
    ["-type:message.*", ["odd", "c1"]],
    ['type:"message._eceived"', []],
    ["source:shop", ["m2"]],
    ["source:sh*", ["m2"]],
    ["-source:shop type:message.*", ["w1", "m1"]],
    ["subject:cnt_1", ["w1", "c1", "m1"]],
    ["subject:conv_1", ["m1"]],
    ["-subject:cnt_1", ["odd", "m2"]],
    ["id:m1", ["m1"]],
    ["id:m1 id:w1", ["w1", "m1"]],
    ["id:nothing", []],
    ["type:message.* -id:m1", ["w1", "m2"]],
    ["status:pending", ["w1"]],
    ["status:quarantined", ["odd"]],
    ["-status:quarantined -status:pending", ["c1", "m2", "m1"]],
    ["state:dead", ["m2"]],
    ["state:dead state:retrying", ["c1", "m2"]],
    ["state:dead handler:ep_2", []],
    ["handler:ep_* state:dead state:retrying", ["c1", "m2"]],
    ["handler:ep_1 state:succeeded", ["c1", "m1"]],
    ["handler:inbox", ["c1", "m2", "m1"]],
    ["handler:nobody", []],
    ["handler:inbox -state:dead", ["c1", "m1"]],
    ["-handler:inbox", ["w1", "odd"]],
    ["data.contactId=cnt_1", ["w1", "m1"]],
    ["data.contactId=cnt_3", []],
    ["data.tags=vip", ["m1"]],
    ["data.tags.0=vip", ["m1"]],
    ["data.amount=12.5", ["m1"]],
    ["refund", ["w1", "c1", "m1"]],
    ['"my café refund"', ["m1"]],
    ["ref", []],
    ["type:message.* -refund", ["m2"]],
    ["refund state:succeeded", ["c1", "m1"]],
    ["refund status:processed", ["c1", "m1"]],
    ["age<1h refund", ["w1", "c1", "m1"]],
    ["age>1h", []],
    ["after:2026-01-01 before:2026-01-02", []],
  ])("%s finds %j", async (query, ids) => {
    const all = await searchEvents(store, { terms: termsOf(query) });
    expect(all.items.map(({ id }) => id)).toEqual(ids);
    expect(all.next).toBeNull();
    // The same, one by one.
    const paged: (string | null)[] = [];
    for (let before = null as typeof all.next; ;) {
      const page = await searchEvents(store, { terms: termsOf(query), limit: 1, before });
      paged.push(...page.items.map(({ id }) => id));
      before = page.next;
      if (before === null) break;
    }
    expect(paged).toEqual(ids);
  });

  test("bodies of the last day are searched, and that is said, unless the query says a time", async () => {
    const { bodiesSince } = await searchEvents(store, { terms: termsOf("refund") });
    expect(Date.parse(bodiesSince ?? "")).toBeLessThanOrEqual(Date.now() - 86_000_000);
    expect((await searchEvents(store, { terms: termsOf("refund age<3d") })).bodiesSince).toBeNull();
    expect((await searchEvents(store, { terms: termsOf("type:x") })).bodiesSince).toBeNull();
  });

  test.each([
    ["", 5],
    ["age<1h", 5],
    ["age>1h", 0],
    ["type:message.*", 2],
    ["refund", 2],
    ["state:dead", 1],
  ])("%s is counted over time: %i", async (query, total) => {
    const histogram = await countEvents(store, { terms: termsOf(query), budgetMs: 60_000 });
    expect(histogram).toMatchObject({ total, more: false, countedSince: null });
    expect(histogram.counts.length).toBeLessThanOrEqual(60);
    expect(histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(total);
    const span = Date.parse(histogram.to) - Date.parse(histogram.from);
    expect(histogram.counts.length).toBe(Math.ceil(span / histogram.bucketMs));
  });
});

describe("on a database with history", () => {
  let store: Store;
  beforeAll(async () => {
    store = await openMigrated();
    for (let batch = 0; batch < 300; batch++) {
      const events = Array.from({ length: 200 }, (_, nth) => {
        const n = batch * 200 + nth;
        const data = { contactId: `cnt_${n % 5_000}`, messageId: `msg_${n}`, text: `word${n} of ${n % 7} days` };
        return newEvent(`evt_${n}`, {
          type: n === 31_337 ? "rare.kind" : `message.${n % 2 === 0 ? "sent" : "received"}`,
          subjects: [`cnt_${n % 5_000}`],
          body: body({ id: `evt_${n}`, data }),
        });
      });
      await process(store, events);
    }
    await store.pool.query("VACUUM ANALYZE penstock.events, penstock.event_words, penstock.batches");
  }, 120_000);
  afterAll(() => store.close());

  test.each([
    ["data.messageId=msg_77", 1],
    ["subject:cnt_123", 12],
    ["data.contactId=cnt_123", 12],
    ["word31337", 1],
    ["type:rare.*", 1],
    ["type:rare.kind", 1],
    ["subject:nobody", 0],
    ["id:evt_4711", 1],
    ["type:message.*", 20],
    ["", 20],
  ])("%s reads little more than it finds", async (query, count) => {
    const { result, plans } = await withPlans(store, (alone) => searchEvents(alone, { terms: termsOf(query) }));
    expect(result.items).toHaveLength(count);
    // The filters of so few runs may be read whole; events may not.
    const scans = plansThatScan(plans.map((plan) => plan.replaceAll("Seq Scan on event_words", "")));
    expect(scans.map((plan) => /Seq Scan on \w+ .*/.exec(plan)?.[0])).toEqual([]);
    // Of 60,000 events: the filters of words, and the runs that they leave.
    expect(mostRowsIn(plans)).toBeLessThanOrEqual(4_000);
  });

  test("a count has an end, and says from when on it is whole", async () => {
    const few = await countEvents(store, { terms: termsOf("type:rare.*"), budgetMs: 60_000 });
    expect(few).toMatchObject({ total: 1, more: false });
    const many = await countEvents(store, { terms: termsOf("type:message.*"), budgetMs: 60_000 });
    expect(many.more).toBe(true);
    expect(many.total).toBeGreaterThanOrEqual(10_000);
    expect(many.total).toBeLessThan(20_000);
    expect(many.countedSince).not.toBeNull();
    const whole = await countEvents(store, { terms: [], budgetMs: 60_000 });
    expect(whole).toMatchObject({ total: 60_000, more: false });
  });

  test("a search whose time is up gives what it has, and goes on from there", async () => {
    let before = null as Awaited<ReturnType<typeof searchEvents>>["next"];
    let pages = 0;
    const found: (string | null)[] = [];
    do {
      const page = await searchEvents(store, { terms: termsOf("of -days"), before, budgetMs: 0 });
      found.push(...page.items.map(({ id }) => id));
      before = page.next;
      pages++;
    } while (before !== null);
    expect(found).toEqual([]);
    expect(pages).toBeGreaterThan(10);
  });

  describe("without the filters of some batches", () => {
    beforeAll(async () => {
      // The newest two, and fifty in the middle.
      await store.pool.query(`
        DELETE FROM penstock.event_words USING (SELECT day, batch, row_number() OVER (ORDER BY batch) AS nth FROM penstock.batches) AS b
         WHERE event_words.day = b.day AND event_words.seq / 1024 = b.batch AND (nth > 298 OR nth BETWEEN 101 AND 150)`);
      await store.pool.query("VACUUM ANALYZE penstock.event_words");
    });

    test.each([
      ["data.messageId=msg_77", ["evt_77"]],
      ["word20000", ["evt_20000"]],
      ["word29999 type:message.*", ["evt_29999"]],
      ["word59999", ["evt_59999"]],
      ["nobody", []],
      ["type:rare.kind", ["evt_31337"]],
      ["subject:cnt_123", Array.from({ length: 12 }, (_, nth) => `evt_${(11 - nth) * 5_000 + 123}`)],
    ])("%s finds %j, however the search is cut", async (query, ids) => {
      for (const options of [{}, { limit: 1, budgetMs: 50 }]) {
        const found: (string | null)[] = [];
        for (let before = null as Awaited<ReturnType<typeof searchEvents>>["next"]; ;) {
          const page = await searchEvents(store, { terms: termsOf(query), before, ...options });
          found.push(...page.items.map(({ id }) => id));
          before = page.next;
          if (before === null) break;
        }
        expect(found).toEqual(ids);
      }
    });

    test("and no other events are looked at", async () => {
      const { result, plans } = await withPlans(store, (alone) =>
        searchEvents(alone, { terms: termsOf("subject:nobody") }),
      );
      expect(result).toMatchObject({ items: [], next: null });
      expect(mostRowsIn(plans)).toBeLessThanOrEqual(10_400);
    });

    test("events without filters are counted over time", async () => {
      expect(await countEvents(store, { terms: [], budgetMs: 60_000 })).toMatchObject({ total: 60_000, more: false });
    });
  });
});

test("filters whose commit was not heard of are not in the way of those that come later", async () => {
  const store = await openMigrated();
  const worker = createEngineStore(store, "test");
  const record = async (id: string): Promise<unknown> => {
    const batches = [await commitBatch(store, [newEvent(id)])];
    return worker.transaction((tx) => tx.claimBatches({ batches, onlyThese: true, maxEvents: 200, maxBytes: 1e9 }));
  };
  await record("first");
  // As the write leaves it that has committed and whose answer got lost.
  await store.pool.query(`
    INSERT INTO penstock.event_words (day, seq, last_seq, events, received_at)
    SELECT day, seq, seq, 1, received_at FROM penstock.events`);
  await record("second");
  await worker.writeWords();
  const { rows } = await store.pool.query("SELECT FROM penstock.event_words");
  expect(rows.length).toBe(2);
  await store.close();
});
