import { fileURLToPath } from "node:url";
import { createReplay, createStore, showReplay, type Store } from "@penstock/store";
import { createTestDatabase, createTestRedis, eventually } from "@penstock/testing";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import trial from "./trial/penstock.config.ts";
import { createWorkplace, migrateFor, PATIENCE_MS, SOON, type Workplace } from "./worker-under-test.ts";

const configPath = fileURLToPath(new URL("trial/penstock.config.ts", import.meta.url));
const BACKUP_ENDS = "_backup";

/** A database as a backup brings it back: as it was, to the last row, in the place of what is there now. */
async function openBackups(url: string) {
  const name = new URL(url.replace(/\?.*$/, "")).pathname.slice(1);
  const admin = createStore({
    connectionString: url.replace(`/${name}`, "/postgres"),
    applicationName: "backup-test",
    maxConnections: 1,
  });
  onTestFinished(async () => {
    await admin.pool.query(`DROP DATABASE IF EXISTS ${name}${BACKUP_ENDS} WITH (FORCE)`);
    await admin.close();
  });
  return {
    // Nobody may be connected to what is copied.
    take: () => admin.pool.query(`CREATE DATABASE ${name}${BACKUP_ENDS} TEMPLATE ${name}`),
    async restore() {
      await admin.pool.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.pool.query(`CREATE DATABASE ${name} TEMPLATE ${name}${BACKUP_ENDS}`);
    },
  };
}

/** The events that took effect, once for each time. */
async function effectsOf(store: Store, schema: "a_obedient" | "b_plain"): Promise<string[]> {
  const { rows } = await store.pool.query<{ event_id: string }>(`SELECT event_id FROM ${schema}.effects ORDER BY 1`);
  return rows.map(({ event_id }) => event_id);
}

/** Waits until nothing is left to do, and checks that each of these events took effect once, and no other did. */
async function tookEffectOnce({ store, states }: Workplace, ids: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      expect((await store.pool.query("SELECT FROM penstock.pending")).rowCount).toBe(0);
      expect(await states()).toEqual([`a-obedient succeeded ${ids.length}`, `b-plain succeeded ${ids.length}`]);
    },
    { timeoutMs: PATIENCE_MS },
  );
  for (const schema of ["a_obedient", "b_plain"] as const) {
    expect(await effectsOf(store, schema)).toEqual(ids.toSorted());
  }
}

test.each(["redis", "postgres"] as const)(
  "a restore to an older state, with the queue on %s, doubles and loses nothing that the restored database knows",
  async (kind) => {
    const { url } = await createTestDatabase({ template: "worker", migrate: migrateFor(trial) });
    const redisUrl = (await createTestRedis()).url;
    const backups = await openBackups(url);
    const open = () => createWorkplace({ kind, template: "worker", plugged: trial, configPath, url, redisUrl });

    const before = await open();
    const worker = await before.start(SOON);
    const known = await before.add(["plain", "plain"]);
    await tookEffectOnce(before, known);
    worker.kill();
    await worker.exited;
    known.push(...(await before.add(["plain", "plain", "plain"]))); // with a job, and pending
    known.push(...(await before.add(["plain"], { enqueue: false }))); // without one
    await before.close();
    await backups.take();

    // What follows is acknowledged, handled in part, and known to no backup.
    const after = await open();
    await after.start(SOON);
    await tookEffectOnce(after, [...known, ...(await after.add(["plain", "plain"]))]);
    await after.close();
    const later = await open();
    await later.add(["plain"]);
    await later.add(["plain"]);
    await later.close();
    await backups.restore();

    // Redis still has the jobs of batches that are gone. Their numbers are given to new batches.
    const restored = await open();
    known.push(...(await restored.add(["plain", "plain"])));
    known.push(...(await restored.add(["plain"])));
    await restored.start(SOON);
    await tookEffectOnce(restored, known);
    await restored.close();
  },
  240_000,
);

test("a queue that is older than the database, or empty, doubles and loses nothing", async () => {
  const { url } = await createTestDatabase({ template: "worker", migrate: migrateFor(trial) });
  const redisUrl = (await createTestRedis()).url;
  const workplace = await createWorkplace({
    kind: "redis",
    template: "worker",
    plugged: trial,
    configPath,
    url,
    redisUrl,
  });
  onTestFinished(() => workplace.close());
  const redis = new Redis(redisUrl);
  onTestFinished(() => redis.disconnect());
  const known = [...(await workplace.add(["plain", "plain"])), ...(await workplace.add(["plain"]))];
  const older = await Promise.all(
    (await redis.keys("*")).map(async (key) => [key, await redis.dumpBuffer(key)] as const),
  );
  const worker = await workplace.start(SOON);
  await tookEffectOnce(workplace, known);
  worker.kill();
  await worker.exited;

  known.push(...(await workplace.add(["plain", "plain"]))); // whose job the older queue does not have
  await redis.flushdb();
  for (const [key, value] of older) if (value !== null) await redis.restore(key, 0, value);
  await workplace.start(SOON);
  await tookEffectOnce(workplace, known);
  await redis.flushdb();
  known.push(...(await workplace.add(["plain"], { enqueue: false })));
  await tookEffectOnce(workplace, known);
}, 240_000);

test("what was restored from a dump on a new server, which counts transactions anew, can be replayed", async () => {
  const { url } = await createTestDatabase({ template: "worker", migrate: migrateFor(trial) });
  const workplace = await createWorkplace({ kind: "postgres", template: "worker", plugged: trial, configPath, url });
  onTestFinished(() => workplace.close());
  const known = await workplace.add(["plain", "plain"]);
  await workplace.start(SOON);
  await tookEffectOnce(workplace, known);
  // As a dump from an older server has it: far ahead of the counter of this one.
  await workplace.store.pool.query("UPDATE penstock.events SET xid = '4000000000'");
  await createReplay(workplace.store, { id: "restored", request: {}, handler: "b-plain" }, "test");
  await eventually(
    async () => expect(await showReplay(workplace.store, "restored")).toMatchObject({ status: "done", matched: 2 }),
    {
      timeoutMs: PATIENCE_MS,
    },
  );
}, 240_000);
