import {
  assertMigrated,
  createEngineStore,
  createQueuePool,
  ensurePartitions,
  findEvents,
  listEvents,
  migrate,
  showEvents,
} from "@penstock/store";
import { createTestDatabase, setStrangely, STRANGE_SETTINGS } from "@penstock/testing";
import { describe, expect, test } from "vitest";
import { newEvent, open, process } from "./open-test-store.ts";

describe.each(["database", "role"] as const)("where a %s has settings of its own", (by) => {
  test("all is migrated, and events are stored, listed and shown with exact times", async () => {
    const { url } = await createTestDatabase();
    await setStrangely(url, by);
    const store = open(url);
    await migrate(store);
    await assertMigrated(store);
    expect(await ensurePartitions(store)).toEqual([]);
    const body = Buffer.from('{"text":"\\\\ ü \'"}');
    const createdAt = new Date("2026-04-03T02:01:00.123Z");
    const before = Date.now();
    await process(store, [
      newEvent("with", { type: null, createdAt, body }),
      newEvent("without", { type: null, createdAt: null, body }),
    ]);
    const listed = await listEvents(store, { subject: "cnt_1" });
    expect(listed.map(({ id, type, createdAt: at }) => [id, type, at])).toEqual([
      ["without", null, null],
      ["with", null, createdAt.toISOString()],
    ]);
    const [shown] = await showEvents(store, "with");
    expect(shown?.body).toEqual(body);
    expect(Math.abs(Date.parse(shown?.receivedAt ?? "") - before)).toBeLessThan(60_000);
    expect(shown?.receivedAt.slice(0, 10)).toBe(shown?.day);
    expect(await findEvents(store, `seq:${shown?.seq}`)).toHaveLength(1);
    // As workers claim it.
    const claimed = await createEngineStore(store, "w").transaction((tx) => tx.readEvent(shown!));
    expect(claimed).toMatchObject({ createdAt, receivedAt: new Date(shown?.receivedAt ?? ""), body });
    await store.close();
  });

  test("no connection of the store or of the queue has them", async () => {
    const { url } = await createTestDatabase();
    await setStrangely(url, by);
    const pools = [
      open(url).pool,
      createQueuePool({ connectionString: url, schema: "bullmq", maxConnections: 1, applicationName: "queue" }),
    ];
    for (const pool of pools) {
      const { rows } = await pool.query<{ name: string; setting: string }>(
        "SELECT name, setting FROM pg_settings WHERE name = ANY($1)",
        [Object.keys(STRANGE_SETTINGS)],
      );
      const found = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
      expect(Object.keys(found).toSorted()).toEqual(Object.keys(STRANGE_SETTINGS).toSorted());
      for (const [name, strange] of Object.entries(STRANGE_SETTINGS)) {
        expect({ [name]: found[name] }).not.toEqual({ [name]: expect.stringContaining(strange) as string });
      }
      expect(found["search_path"]).toBe(pool === pools[1] ? '"bullmq"' : "public");
      await pool.end();
    }
  });
});

test("what a URL sets for a session does not keep the queue from its schema", async () => {
  const { url } = await createTestDatabase();
  const pool = createQueuePool({
    connectionString: `${url}?options=${encodeURIComponent("-c search_path=elsewhere -c datestyle=SQL,DMY")}`,
    schema: "bullmq",
    maxConnections: 1,
    applicationName: "queue",
  });
  expect((await pool.query("SHOW search_path")).rows).toEqual([{ search_path: '"bullmq"' }]);
  expect((await pool.query("SELECT '2026-04-03T02:01Z'::timestamptz AS at")).rows).toEqual([
    { at: new Date("2026-04-03T02:01Z") },
  ]);
  await pool.end();
});
