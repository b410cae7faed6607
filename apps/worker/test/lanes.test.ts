import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@penstock/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import plugged from "./lanes/penstock.config.ts";
import { createOutsideWorld, type OutsideWorld } from "./outside/outside-world.ts";
import { createWorkplace, PATIENCE_MS, type Workplace } from "./worker-under-test.ts";

const configPath = new URL("./lanes/penstock.config.ts", import.meta.url).pathname;
const soon = { timeoutMs: PATIENCE_MS, intervalMs: 50 };

describe.each(["postgres", "redis"] as const)("lanes of a worker with its queue on %s", (kind) => {
  let workplace: Workplace;
  let outside: OutsideWorld;
  beforeEach(async () => {
    outside = await createOutsideWorld();
    workplace = await createWorkplace({ kind, template: "lanes", plugged, configPath });
  });
  afterEach(async () => {
    await workplace.close();
    outside.close();
  });

  test("that is killed again and again take effect in order, and each event once", async () => {
    const { store } = workplace;
    const start = () => workplace.start({ OUTSIDE_URL: outside.url });
    const contacts = ["cnt_1", "cnt_2", "cnt_3"];
    const inOrder = contacts.flatMap((contactId) => Array.from({ length: 10 }, (_, n) => ({ contactId, n })));
    const events = inOrder
      .map((event) => ({ ...event, id: `${event.contactId}_${event.n}` }))
      .toSorted(() => Math.random() - 0.5);
    let worker = await start();
    await workplace.add(
      events.map(({ id, contactId, n }) => ({
        id,
        createdAt: new Date(Date.parse("2026-06-01T12:00:00Z") + n * 1_000).toISOString(),
        data: { contactId, body: n % 4 === 1 ? "fail" : "hello" },
      })),
    );
    const succeeded = async (): Promise<number> =>
      (await store.pool.query("SELECT FROM penstock.deliveries WHERE state = 'succeeded'")).rowCount ?? 0;
    for (const progress of [5, 20, 40]) {
      await eventually(async () => expect(await succeeded()).toBeGreaterThanOrEqual(progress), soon);
      await delay(Math.random() * 50);
      worker.kill("SIGKILL");
      await worker.exited;
      // Its leases would run out in a minute and more.
      await store.pool.query("UPDATE penstock.deliveries SET lease_until = now() WHERE state = 'running'");
      worker = await start();
    }
    await eventually(
      async () => expect(await workplace.states()).toEqual(["calls succeeded 30", "rows succeeded 30"]),
      soon,
    );
    const { rows } = await store.pool.query<{ event_id: string }>("SELECT event_id FROM rows.effects ORDER BY nth");
    const effects = rows.map((row) => row.event_id);
    // What was cut off, or failed, is told again: but before anything that comes after it.
    const told = outside.toldBy("calls");
    for (const contactId of contacts) {
      const expected = Array.from({ length: 10 }, (_, n) => `${contactId}_${n}`);
      const ofLane = (ids: readonly string[]): string[] => ids.filter((id) => id.startsWith(`${contactId}_`));
      expect(ofLane(effects)).toEqual(expected);
      expect(ofLane(told).filter((id, at, all) => id !== all[at - 1])).toEqual(expected);
    }
  }, 400_000);
});
