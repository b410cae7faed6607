import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { startSteadyScene, type SteadyScene } from "./steady-load.ts";

const EVENTS_PER_SECOND = 200;
const OUTAGE_MS = 5_000;

let scene: SteadyScene;
beforeAll(async () => {
  scene = await startSteadyScene(EVENTS_PER_SECOND);
  return () => scene.workplace.close();
});

const FAULTS: Record<string, () => Promise<unknown>> = {
  "a worker is killed and replaced": () => {
    scene.workers[0]?.kill("SIGKILL");
    return scene.workplace.start();
  },
  "Redis is restarted and has forgotten everything": async () => {
    await scene.redis.kill();
    await delay(OUTAGE_MS);
    await scene.redis.start();
  },
  "Postgres is killed and restarted": async () => {
    await scene.postgres.kill();
    await delay(OUTAGE_MS);
    await scene.postgres.start();
  },
};

// One after the other under one load: what a fault leaves behind would be seen by the next.
test.each(Object.entries(FAULTS))(
  `after %s, ${EVENTS_PER_SECOND} events/s are processed as they come within 30 s`,
  async (_, fault) => {
    await fault();
    expect(await scene.load.secondsToRecover()).toBeLessThan(30);
  },
);

test("after all of them, every event that was accepted has taken effect once", () => scene.load.stop());
