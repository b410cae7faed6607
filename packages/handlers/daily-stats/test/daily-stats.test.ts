import type { EventOf } from "@penstock/handler-sdk";
import { testHandler } from "@penstock/handler-testing";
import { makeEvent } from "@penstock/schemas/fixtures";
import { expect, test } from "vitest";
import dailyStats from "../src/index.ts";

const FIRST = "2026-06-01T10:00:00.000Z";
const SECOND = "2026-06-01T11:00:00.000Z";

test.each([200, 3, 1])("events are counted the same in batches of %i, and once when replayed", async (batchEvents) => {
  await using t = await testHandler(dailyStats({ on: ["message.received", "contact.created", "github.push"] }), {
    batchEvents,
  });
  for (const channel of ["sms", "whatsapp", "sms"]) {
    await t.send("message.received", { createdAt: "2026-06-01T10:59:59Z", data: { channel } });
  }
  await t.send("message.received", { createdAt: "2026-06-01T13:00:00+02:00", data: { channel: undefined } });
  await t.send("contact.created", { createdAt: FIRST });
  await t.send("github.push", { createdAt: FIRST, data: { channel: `\0\ud83d${"x".repeat(5_000)}` } });
  const { id } = await t.send("contact.created", { createdAt: "2999-01-01T00:00:00Z" }); // counts as now
  await t.settle();
  const expected = [
    [FIRST, "buzzbip", "contact.created", "", "1"],
    [FIRST, "buzzbip", "message.received", "sms", "2"],
    [FIRST, "buzzbip", "message.received", "whatsapp", "1"],
    [FIRST, "github", "github.push", `\uFFFD\uFFFD${"x".repeat(62)}`, "1"],
    [SECOND, "buzzbip", "message.received", "", "1"],
  ];
  const counted = async (): Promise<unknown[][]> =>
    (await t.rows("hourly")).map((row) => [row.hour.toISOString(), row.source, row.type, row.channel, row.events]);
  const rows = await counted();
  expect(rows.slice(0, -1)).toEqual(expected);
  const ageMs = Date.now() - Date.parse(String(rows.at(-1)?.[0]));
  expect(ageMs).toBeGreaterThanOrEqual(0);
  expect(ageMs).toBeLessThan(2 * 3_600_000);

  await t.replay(id);
  await t.replay(id, { again: true });
  await t.settle();
  expect(await counted()).toEqual(rows);
  expect(await t.db.selectFrom("daily").select("events").where("channel", "=", "sms").execute()).toEqual([
    { events: "2" },
  ]);
});

test("transactions that count the same hours in other orders do not wait for each other in a circle", async () => {
  const handler = dailyStats();
  await using t = await testHandler(handler);
  const types = ["message.received", "message.sent", "message.failed"] as const;
  let seq = 0;
  const batches = Array.from({ length: 60 }, (_, at) => {
    const events = Array.from({ length: 24 }, () => {
      const createdAt = new Date(Date.parse(FIRST) + (seq % 8) * 3_600_000);
      const made = makeEvent(types[seq % 3] ?? types[0]);
      return { ...made, createdAt, receivedAt: new Date(), source: "buzzbip", seq: ++seq } as EventOf<
        (typeof types)[0]
      >;
    });
    return at % 2 === 0 ? events : events.toReversed();
  });
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const { signal } = new AbortController();
  await Promise.all(
    batches.map((events) =>
      t.db.transaction().execute(async (tx) => handler.handleBatch?.(events, { tx, log, signal })),
    ),
  );
  const rows = await t.rows("hourly");
  expect(rows).toHaveLength(24);
  expect(rows.map(({ events }) => events)).toEqual(rows.map(() => "60"));
});

function ignore(): void {
  // Nothing is asked of it here.
}

test("an erasure leaves counts as they are, which are about nobody", async () => {
  await using t = await testHandler(dailyStats());
  await t.send("contact.created", { createdAt: FIRST, data: { contactId: "cnt_ada" } });
  await t.settle();
  const before = await t.rows("hourly");
  await t.erase("cnt_ada");
  expect(await t.rows("hourly")).toEqual(before);
});
