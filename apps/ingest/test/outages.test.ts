import type { Store } from "@penstock/store";
import { eventually, type ServerUnderTest, startPostgres, startRedis } from "@penstock/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Answer, eventBody, migrateAt, recordEvents, send, startIngest, storeAt } from "./ingest-under-test.ts";

let postgres: ServerUnderTest;
let store: Store;

beforeAll(async () => {
  postgres = await startPostgres();
  await migrateAt(postgres.url);
  store = storeAt(postgres.url);
});
afterEach(async () => {
  await postgres.thaw();
  await postgres.start();
  await eventually(() => store.ping());
});
afterAll(() => store.close());

const ready = (port: number): Promise<Answer> => send(port, { method: "GET", path: "/readyz" });
const report = ({ text }: Answer): unknown => JSON.parse(text);

describe("health", () => {
  test("healthz says that the process lives, whatever else is the matter", async () => {
    const { port } = await startIngest(postgres.url);
    await postgres.stop();
    const answer = await send(port, { method: "GET", path: "/healthz" });
    expect(answer).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect((await send(port, { method: "HEAD", path: "/healthz" })).status).toBe(200);
  });

  test("readyz is 200 when everything is in order, from the first moment", async () => {
    const { port } = await startIngest(postgres.url);
    const answer = await ready(port);
    expect(answer.status).toBe(200);
    expect(report(answer)).toEqual({ status: "ready", checks: { postgres: "ok", migrations: "ok", queue: "ok" } });
  });

  test("readyz is 503 and says so while migrations are missing", async () => {
    const { ingest, port } = await startIngest(postgres.url);
    const { rows } = await store.pool.query<{ name: string; timestamp: string }>(
      "DELETE FROM penstock.kysely_migration WHERE name = '0001-baseline' RETURNING name, timestamp",
    );
    const answer = await eventually(async () => {
      const got = await ready(port);
      expect(got.status).toBe(503);
      return got;
    });
    expect(report(answer)).toMatchObject({
      status: "not-ready",
      checks: { postgres: "ok", migrations: "failed", queue: "ok" },
    });
    // Why is for operators: it can name hosts.
    expect((await ingest.readiness()).checks).toMatchObject({
      migrations: expect.stringMatching(/0001-baseline.*penstock migrate/) as string,
    });
    await store.pool.query("INSERT INTO penstock.kysely_migration VALUES ($1, $2)", [
      rows[0]!.name,
      rows[0]!.timestamp,
    ]);
    await eventually(async () => expect((await ready(port)).status).toBe(200));
  });

  test.each(["stop", "freeze"] as const)(
    "readyz is 200 but degraded while only the queue is away (%s)",
    async (away) => {
      const redis = await startRedis();
      const { port } = await startIngest(postgres.url, { QUEUE_URL: redis.url });
      expect(report(await ready(port))).toMatchObject({ status: "ready" });
      await redis[away]();
      const answer = await eventually(async () => {
        const got = await ready(port);
        expect(report(got)).toMatchObject({ status: "degraded" });
        return got;
      });
      expect(answer.status).toBe(200);
      expect(report(answer)).toMatchObject({ checks: { postgres: "ok", queue: expect.not.stringMatching(/^ok$/) } });
      expect((await send(port)).status).toBe(200);
    },
  );
});

describe("while Postgres is away", () => {
  test.each([
    ["down", () => postgres.stop(), () => postgres.start()],
    ["frozen", () => postgres.freeze(), () => postgres.thaw()],
  ])(
    "(%s) senders get 503 and when to come again, within their time-out; what they send again is stored once",
    async (_, begin, end) => {
      const { port } = await startIngest(postgres.url);
      const before = await recordEvents(store);
      await begin();
      const [body, other] = [eventBody(), eventBody()];
      const started = performance.now();
      for (const answer of await Promise.all([
        send(port, { body }),
        send(port, { body: other }),
        send(port, { body }),
      ])) {
        expect(answer.status).toBe(503);
        expect(answer.headers["retry-after"]).toBe("5");
        expect(answer.headers["content-type"]).toBe("application/problem+json");
      }
      expect(performance.now() - started).toBeLessThan(9_500);
      const notReady = await ready(port);
      expect(notReady.status).toBe(503);
      expect(report(notReady)).toMatchObject({
        status: "not-ready",
        checks: { postgres: expect.not.stringMatching(/^ok$/) },
      });
      expect((await send(port, { headers: {} })).status).toBe(401);
      await end();
      for (const again of [body, other]) {
        await eventually(async () => expect((await send(port, { body: again })).status).toBe(200));
      }
      await eventually(async () => expect((await ready(port)).status).toBe(200));
      expect(await recordEvents(store)).toHaveLength(before.length + 2);
    },
  );
});
