import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Store } from "@penstock/store";
import { eventually, type ServerUnderTest, startPostgres, startProcess, startRedis } from "@penstock/testing";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  type Answer,
  environment,
  eventBody,
  migrateAt,
  recordEvents,
  send,
  signed,
  startIngest,
  storeAt,
} from "./ingest-under-test.ts";

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

describe("with INTAKE_REFUSED_DIR", () => {
  async function newFolder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "penstock-refused-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    return join(folder, "kept");
  }
  const untilEmpty = (folder: string): Promise<void> =>
    eventually(async () => expect(await readdir(folder)).toEqual([]), { timeoutMs: 60_000 });
  const bodiesOf = async (): Promise<string[]> => (await recordEvents(store)).map(({ body }) => body.toString());

  test("what is signed and gets 503 is stored once Postgres is back, without being sent again, and once if it is", async () => {
    const folder = await newFolder();
    const before = await bodiesOf();
    const { port, logged } = await startIngest(postgres.url, { INTAKE_REFUSED_DIR: folder });
    await postgres.stop();
    const bodies = Array.from({ length: 20 }, () => eventBody());
    const headers = { authorization: "Bearer secret-of-a-proxy", cookie: "session=of-somebody" };
    for (const body of bodies) {
      expect(await send(port, { body, headers: { ...signed(body), ...headers } })).toMatchObject({ status: 503 });
    }
    expect((await send(port, { headers: {} })).status).toBe(401);
    const [name = ""] = await readdir(folder);
    const file = join(folder, name);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const text = await readFile(file, "utf8");
    expect(text.split("\n").filter((line) => line.includes('"body"'))).toHaveLength(bodies.length);
    expect(text).not.toMatch(/secret-of-a-proxy|of-somebody|whsec|signature"/i);
    await postgres.start();
    await untilEmpty(folder);
    expect(await bodiesOf()).toEqual([...before, ...bodies.map(String)]);
    await eventually(async () => expect((await send(port, { body: bodies[7]! })).status).toBe(200));
    expect(await bodiesOf()).toHaveLength(before.length + bodies.length);
    expect(logged()).toContain("are kept in a file");
  });

  test("a Postgres that hangs costs a sender no more than before, and nothing", async () => {
    const folder = await newFolder();
    const before = await bodiesOf();
    const { port } = await startIngest(postgres.url, { INTAKE_REFUSED_DIR: folder });
    await postgres.freeze();
    const bodies = Array.from({ length: 5 }, () => eventBody());
    const started = performance.now();
    const answers = await Promise.all(bodies.map((body) => send(port, { body })));
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 503));
    // BuzzBip gives up after 10 s.
    expect(performance.now() - started).toBeLessThan(9_500);
    await postgres.thaw();
    await untilEmpty(folder);
    const after = await bodiesOf();
    expect(after.slice(before.length).toSorted()).toEqual(bodies.map(String).toSorted());
  });

  test("readyz says when nothing can be kept, and stays 200", async () => {
    const folder = await newFolder();
    const { ingest, port } = await startIngest(postgres.url, {
      INTAKE_REFUSED_DIR: join(import.meta.filename, "kept"),
    });
    const answer = await ready(port);
    expect(answer.status).toBe(200);
    expect(report(answer)).toMatchObject({ status: "degraded", checks: { "refused-files": "failed" } });
    expect((await ingest.readiness()).checks["refused-files"]).toMatch(/ENOTDIR/);
    await expect(readdir(folder)).rejects.toThrow("ENOENT");
  });

  test("an outage in which an ingest is killed, and started anew, loses nothing that was answered", async () => {
    const folder = await newFolder();
    const before = await bodiesOf();
    const start = async () => {
      const process = startProcess({
        file: import.meta.resolve("@penstock/ingest/main"),
        env: environment(postgres.url, { INTAKE_REFUSED_DIR: folder, INGEST_INTERNAL_PORT: "0", LOG_LEVEL: "info" }),
      });
      const [line] = await process.waitForLine(/^.*"ingest ready".*$/);
      return { process, port: Number((JSON.parse(line) as { port: number }).port) };
    };
    const first = await start();
    await postgres.kill();
    const [body, other] = [eventBody(), eventBody()];
    expect((await send(first.port, { body })).status).toBe(503);
    first.process.kill("SIGKILL");
    await first.process.exited;
    const second = await start();
    expect((await send(second.port, { body: other })).status).toBe(503);
    expect(await readdir(folder)).toHaveLength(2);
    await postgres.start();
    await untilEmpty(folder);
    expect(await bodiesOf()).toEqual([...before, String(body), String(other)]);
    second.process.kill("SIGTERM");
    expect(await second.process.exited).toMatchObject({ code: 0 });
  });
});
