import { setTimeout as delay } from "node:timers/promises";
import { startPostgres, startRedis, type ServerUnderTest } from "@penstock/testing";
import { expect, test } from "vitest";
import { startSteadyLoad } from "./steady-load.ts";
import steady from "./steady/penstock.config.ts";
import { createWorkplace, type Workplace } from "./worker-under-test.ts";

const configPath = new URL("./steady/penstock.config.ts", import.meta.url).pathname;
const EVENTS_PER_SECOND = 200;
/** Longer than what a frozen worker can hold rows for, and than its job is its own. */
const FREEZE_MS = 40_000;
const OUTAGE_MS = 5_000;

interface Scene {
  readonly workplace: Workplace;
  /** One of two workers. */
  readonly victim: { kill(signal: NodeJS.Signals): void };
  readonly postgres: ServerUnderTest;
  readonly redis: ServerUnderTest;
}

const FAULTS: Record<string, (scene: Scene) => Promise<void>> = {
  "a worker is killed and replaced": async ({ workplace, victim }) => {
    victim.kill("SIGKILL");
    await workplace.start();
  },
  "a worker is frozen that holds rows": async ({ workplace, victim }) => {
    await freezeWithRows(workplace, victim);
    await delay(FREEZE_MS);
    victim.kill("SIGCONT");
  },
  "Redis is restarted and has forgotten everything": async ({ redis }) => {
    await redis.kill();
    await delay(OUTAGE_MS);
    await redis.start();
  },
  "Postgres is killed and restarted": async ({ postgres }) => {
    await postgres.kill();
    await delay(OUTAGE_MS);
    await postgres.start();
  },
};

/** Freezes a worker at a moment at which it has a transaction open. */
async function freezeWithRows({ store }: Workplace, victim: Scene["victim"]): Promise<void> {
  const open = async (): Promise<string[]> => {
    const { rows } = await store.pool.query<{ one: string }>(
      `SELECT pid || ' ' || xact_start AS one FROM pg_stat_activity
        WHERE application_name = 'penstock-worker' AND state = 'idle in transaction' AND backend_xid IS NOT NULL`,
    );
    return rows.map(({ one }) => one);
  };
  for (;;) {
    victim.kill("SIGSTOP");
    const before = await open();
    await delay(500);
    const after = await open();
    if (before.some((one) => after.includes(one))) return;
    victim.kill("SIGCONT");
    await delay(50 * Math.random());
  }
}

test.each(Object.entries(FAULTS))(
  `after %s, ${EVENTS_PER_SECOND} events/s are processed as they come within 30 s`,
  async (_, fault) => {
    const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
    const options = { kind: "redis", template: "recovery", plugged: steady, configPath } as const;
    const workplace = await createWorkplace({ ...options, url: postgres.url, redisUrl: redis.url });
    const [victim] = [await workplace.start(), await workplace.start()];
    const load = startSteadyLoad(workplace, EVENTS_PER_SECOND);
    await delay(5_000);
    await fault({ workplace, victim, postgres, redis });
    const ended = await workplace.now();
    await delay(15_000);
    await load.stop();
    expect(await load.secondsToRecover(ended)).toBeLessThan(30);
    await workplace.close();
  },
  400_000,
);
