import { Agent } from "node:http";
import type { Store } from "@penstock/store";
import { eventually, freePort, startProcess, type TestProcess } from "@penstock/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  blockIntake,
  commitsHeld,
  connectRaw,
  countRows,
  environment,
  eventBody,
  onTheWire,
  openDatabase,
  send,
  startIngest,
  storeAt,
  STORED,
} from "./ingest-under-test.ts";

let databaseUrl: string;
let store: Store;

beforeAll(async () => {
  databaseUrl = await openDatabase();
  store = storeAt(databaseUrl);
});
afterAll(() => store.close());

const main = new URL("../src/main.ts", import.meta.url);

/** Resolves when a commit of ingest waits for the block. */
function held(): Promise<void> {
  return eventually(async () => expect(await commitsHeld(store)).toBe(1));
}

async function took(work: Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work;
  return performance.now() - before;
}

describe("closing", () => {
  test("an idle ingest closes at once, idle connections included", async () => {
    const { ingest, port } = await startIngest(databaseUrl);
    const agent = new Agent({ keepAlive: true });
    await send(port, { agent });
    expect(await took(ingest.close(10_000))).toBeLessThan(5_000);
    agent.destroy();
  });

  test("a request under way gets its 200, nobody new gets in, and it is over as soon as that is answered", async () => {
    const { ingest, port } = await startIngest(databaseUrl);
    const release = await blockIntake(store);
    const agent = new Agent({ keepAlive: true });
    const underWay = send(port, { agent });
    await held();
    const closed = ingest.close(10_000);
    await eventually(() => expect(send(port)).rejects.toMatchObject({ code: "ECONNREFUSED" }));
    await release();
    expect(await underWay).toMatchObject({ status: 200, headers: { connection: "close" } });
    expect(await took(closed)).toBeLessThan(8_000);
    agent.destroy();
  });

  test("a request that was coming in when it began gets 503 and an end of its connection", async () => {
    const { ingest, port } = await startIngest(databaseUrl);
    const wire = onTheWire(eventBody());
    const connection = await connectRaw(port);
    connection.write(wire.subarray(0, 40));
    await send(port); // by the time it is answered the bytes above have arrived as well
    const before = await countRows(store);
    const closed = ingest.close(10_000);
    connection.write(wire.subarray(40));
    await eventually(() => expect(connection.received()).toMatch(/^HTTP\/1\.1 503 [^]*connection: close/i));
    expect(connection.received()).toMatch(/retry-after: 5/i);
    await connection.closed;
    expect(await took(closed)).toBeLessThan(8_000);
    expect(await countRows(store)).toEqual(before);
  });

  test("a request that does not end is cut off when the time is up", async () => {
    const { ingest, port } = await startIngest(databaseUrl);
    const connection = await connectRaw(port);
    connection.write(onTheWire(eventBody()).subarray(0, -10));
    await eventually(() => expect(send(port)).resolves.toMatchObject({ status: 200 }));
    const ms = await took(ingest.close(400));
    expect(ms).toBeGreaterThan(350);
    expect(ms).toBeLessThan(8_000);
  });
});

describe("the process", () => {
  function start(overrides: Record<string, string> = {}): TestProcess {
    return startProcess({ file: main, name: "ingest", env: environment(databaseUrl, overrides) });
  }

  async function portOf(ingest: TestProcess): Promise<number> {
    const [line] = await ingest.waitForLine(/.*"msg":"ingest ready".*/);
    return (JSON.parse(line) as { port: number }).port;
  }

  test("SIGTERM lets a request under way end with 200, refuses others, and ends it with 0", async () => {
    const ingest = start();
    const port = await portOf(ingest);
    const release = await blockIntake(store);
    const underWay = send(port);
    await held();
    ingest.kill("SIGTERM");
    await ingest.waitForLine(/"msg":"stopping"/);
    await eventually(() => expect(send(port)).rejects.toMatchObject({ code: "ECONNREFUSED" }));
    await release();
    expect(await underWay).toMatchObject({ status: 200 });
    expect(await took(ingest.exited)).toBeLessThan(8_000);
    expect(await ingest.exited).toEqual({ code: 0, signal: null });
    expect(ingest.stderr).toEqual([]);
  });

  test("what was answered before kill -9 is stored", async () => {
    const ingest = start({ LOG_LEVEL: "info" });
    const port = await portOf(ingest);
    const answered: Buffer[] = [];
    let gone = false;
    const senders = Array.from({ length: 8 }, async () => {
      while (!gone) {
        const body = eventBody();
        const answer = await send(port, { body }).catch(() => undefined);
        if (answer === undefined) gone = true;
        else if (answer.status === 200) answered.push(body);
      }
    });
    await eventually(() => expect(answered.length).toBeGreaterThan(100));
    ingest.kill("SIGKILL");
    await Promise.all(senders);
    const { rows } = await store.pool.query<{ body: Buffer }>(`SELECT body FROM ${STORED}`);
    const stored = new Set(rows.map(({ body }) => body.toString()));
    expect(answered.filter((body) => !stored.has(body.toString()))).toEqual([]);
  });

  test("a wrong environment stops the start with every problem by name, and no value", async () => {
    const values = {
      INGEST_PORT: "70000hidden",
      MAX_BODY_BYTES: "lots-hidden",
      QUEUE_URL: "amqp://hidden",
      DATABASE_URL: "mysql://hidden",
      BUZZBIP_SIGNING_SECRETS: "",
      LOG_LEVEL: "loud-hidden",
    };
    const ingest = start(values);
    expect(await ingest.exited).toEqual({ code: 1, signal: null });
    const said = [...ingest.stdout, ...ingest.stderr].join("\n");
    for (const name of Object.keys(values)) expect(said).toContain(name);
    expect(said).not.toContain("hidden");
    expect(said).not.toContain("    at ");
  });

  test("an empty environment names what is required", async () => {
    const ingest = startProcess({ file: main, name: "ingest" });
    expect(await ingest.exited).toEqual({ code: 1, signal: null });
    expect(ingest.stderr.join("\n")).toMatch(/DATABASE_URL is required/);
  });

  test.each<[string, () => Promise<Record<string, string>>, RegExp]>([
    [
      "a Postgres that is not there",
      async () => ({ DATABASE_URL: `postgres://user:hidden@127.0.0.1:${await freePort()}/x` }),
      /Postgres is not available/,
    ],
    [
      "a database without migrations",
      async () => ({ DATABASE_URL: Object.assign(new URL(databaseUrl), { pathname: "/template1" }).href }),
      /penstock migrate/,
    ],
    [
      "a port that is taken",
      async () => ({ INGEST_PORT: String((await startIngest(databaseUrl)).port) }),
      /EADDRINUSE/,
    ],
  ])("%s stops the start with words, and no stack", async (_, overrides, words) => {
    const ingest = start(await overrides());
    expect(await ingest.exited).toEqual({ code: 1, signal: null });
    const said = ingest.stderr.join("\n");
    expect(said).toMatch(words);
    expect(said).not.toContain("hidden");
    expect(said).not.toContain("    at ");
  });

  test("a secret that is short is warned about by its position", async () => {
    const ingest = start({ BUZZBIP_SIGNING_SECRETS: "short-hidden" });
    await ingest.waitForLine(/"level":"warn".*BUZZBIP_SIGNING_SECRETS: the secret at position 1 of 1/);
    expect(ingest.stdout.join("\n")).not.toContain("hidden");
  });
});
