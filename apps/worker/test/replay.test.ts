import { makeEvent } from "@penstock/schemas/fixtures";
import { createReplay, findEvents, requestDryRun, showDryRun, showReplay, type Store } from "@penstock/store";
import { addHistory, eventually } from "@penstock/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import trial from "./trial/penstock.config.ts";
import { createWorkplace, type Workplace } from "./worker-under-test.ts";

const configPath = new URL("./trial/penstock.config.ts", import.meta.url).pathname;

let workplace: Workplace;
let store: Store;
beforeEach(async () => {
  workplace = await createWorkplace({ kind: "postgres", template: "replay", plugged: trial, configPath });
  ({ store } = workplace);
});
afterEach(() => workplace.close());

/** Adds events as if their handler `b-plain` had failed them all. */
async function addDead(count: number): Promise<void> {
  await addHistory(store.pool, {
    events: count,
    like: makeEvent("message.received", { id: "evt_template", data: { body: "hello" } }),
  });
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
     SELECT day, seq, 'b-plain', 'dead', 3 FROM penstock.events`,
  );
}

async function effects(): Promise<{ all: number; different: number }> {
  const { rows } = await store.pool.query<{ all: number; different: number }>(
    "SELECT count(*)::int AS all, count(DISTINCT event_id)::int AS different FROM b_plain.effects",
  );
  return rows[0]!;
}

const EVENTS = 20_000;
const PATIENCE = { timeoutMs: 600_000, intervalMs: 500 };
const OFTEN = { timeoutMs: 600_000, intervalMs: 50 };

test("a replay of 20,000 events outlives its workers, memory flat and what waits bounded: none is lost, none is done twice", async () => {
  await addDead(EVENTS);
  await createReplay(store, { id: "all", request: {}, handler: "b-plain", state: "dead" }, "test");
  for (const until of [1_000, 3_000, 5_000]) {
    const worker = await workplace.start();
    await eventually(async () => expect((await effects()).all).toBeGreaterThan(until), PATIENCE);
    worker.kill("SIGKILL");
    await worker.exited;
    expect((await showReplay(store, "all"))?.status).toBe("running");
    // The leases of what was under way would run out in a minute.
    await store.pool.query("UPDATE penstock.deliveries SET lease_until = now() WHERE state = 'running'");
  }
  // With little room garbage is collected often, and what is seen of the heap is what is kept.
  const worker = await workplace.start({ NODE_OPTIONS: "--max-old-space-size=96 --max-semi-space-size=2" });
  const [, port] = await worker.waitForLine(/"internalPort":(\d+).*worker ready/);
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const heap: number[] = [];
  let mostWaiting = 0;
  await eventually(async () => {
    const used = [...(await metrics()).matchAll(/^v8js_memory_heap_used(?:_bytes)?\{[^}]*\} ([\d.e+]+)$/gm)];
    heap.push(used.reduce((sum, [, bytes]) => sum + Number(bytes), 0) / 1e6);
    const replay = await showReplay(store, "all");
    mostWaiting = Math.max(mostWaiting, (replay?.enqueued ?? 0) - (replay?.done ?? 0));
    expect(replay?.status).toBe("done");
  }, OFTEN);
  expect(await effects()).toEqual({ all: EVENTS, different: EVENTS });
  expect(await showReplay(store, "all")).toMatchObject({
    matched: EVENTS,
    enqueued: EVENTS,
    done: EVENTS,
    states: { succeeded: EVENTS },
  });
  // And those that the killed workers had under way, a transaction of 200 each: they wait for their next try, and are no
  // longer counted.
  expect(mostWaiting).toBeLessThanOrEqual(500 + 3 * 200);
  expect(mostWaiting).toBeGreaterThan(0);
  // What is left after a collection: the rest is garbage that was not collected yet. To keep all 15,000 would be far more.
  const floor = (samples: readonly number[]): number => Math.min(...samples);
  const half = Math.floor(heap.length / 2);
  expect(floor(heap)).toBeGreaterThan(1);
  expect(floor(heap.slice(half))).toBeLessThan(floor(heap.slice(0, half)) + 20);
}, 1_500_000);

test("a dry run that is asked for is done by a worker that has the handler, and nothing of it is kept", async () => {
  await workplace.start();
  const [id = ""] = await workplace.add(["hello"]);
  await eventually(async () => expect(await effects()).toEqual({ all: 1, different: 1 }));
  const [event] = await findEvents(store, id, "buzzbip");
  const ask = (handler: string) => requestDryRun(store, { ...event!, handler }, "test");
  const unknown = await ask("nobody-has-it");
  const asked = await ask("b-plain");
  await eventually(async () =>
    expect(await showDryRun(store, asked)).toMatchObject({
      state: "done",
      worker: expect.any(String) as string,
      report: {
        outcome: "succeeded",
        tables: [{ table: "b_plain.effects", inserted: 1, updated: 0, deleted: 0 }],
        statements: [{ sql: expect.stringContaining("effects") as string, rows: 1, error: null }],
      },
    }),
  );
  expect(await effects()).toEqual({ all: 1, different: 1 });
  expect(await showDryRun(store, unknown)).toMatchObject({ state: "waiting", report: null });
});
