import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import { buzzbip, defineSources } from "@penstock/sources";
import { readAnswerTimes } from "@penstock/store";
import { eventually, startProcess } from "@penstock/testing";
import { describe, expect, test } from "vitest";
import {
  blockIntake,
  commitsHeld,
  connectRaw,
  countRows,
  environment,
  eventBody,
  onTheWire,
  databaseOfFile,
  recordEvents,
  send,
  signed,
  startIngest,
  WEBHOOK,
} from "./ingest-under-test.ts";

const { databaseUrl, store } = await databaseOfFile(
  "penstock.batches, penstock.pending, penstock.event_keys, penstock.events, penstock.acknowledgement_minutes",
);

describe("rates", () => {
  /** Sends one after another and gives their statuses. */
  async function statuses(port: number, count: number, headers?: Record<string, string>): Promise<number[]> {
    const got: number[] = [];
    for (let sent = 0; sent < count; sent++) {
      const body = eventBody();
      got.push((await send(port, { body, headers: headers ?? signed(body) })).status);
    }
    return got;
  }

  test("an address is held back after so many refused requests a second, before its next is verified", async () => {
    const { port } = await startIngest(databaseUrl, { INGEST_ADDRESS_RATE: "3" });
    expect(await statuses(port, 3, {})).toEqual([401, 401, 401]);
    const held = await send(port);
    expect(held.status).toBe(429);
    expect(held.headers["content-type"]).toBe("application/problem+json");
    expect(Number(held.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    await eventually(async () => expect((await send(port)).status).toBe(200));
    expect((await countRows(store)).events).toBe(1);
  });

  test("what is accepted does not count against an address", async () => {
    const { port } = await startIngest(databaseUrl, { INGEST_ADDRESS_RATE: "2" });
    expect(new Set(await statuses(port, 20))).toEqual(new Set([200]));
  });

  test("a source is held back after so many accepted requests a second, and what is held back is not stored", async () => {
    const { port } = await startIngest(databaseUrl, { INGEST_SOURCE_RATE: "2" });
    expect(new Set(await statuses(port, 5, {}))).toEqual(new Set([401]));
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(port)));
    const held = answers.filter(({ status }) => status === 429);
    expect(held).toHaveLength(3);
    expect(Number(held[0]?.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect((await countRows(store)).events).toBe(2);
  });

  test("0 is no limit", async () => {
    const { port } = await startIngest(databaseUrl, { INGEST_ADDRESS_RATE: "0", INGEST_SOURCE_RATE: "0" });
    expect(new Set(await statuses(port, 30, {}))).toEqual(new Set([401]));
  });

  test.each([
    ["without a proxy the header that names an address is nobody's word", "0", [401, 429, 429]],
    ["behind a proxy the address is what it says", "1", [401, 401, 401]],
  ])("%s", async (_, INGEST_TRUST_PROXY, expected) => {
    const { port } = await startIngest(databaseUrl, { INGEST_ADDRESS_RATE: "1", INGEST_TRUST_PROXY });
    const got: number[] = [];
    for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) {
      got.push((await send(port, { headers: { "x-forwarded-for": address } })).status);
    }
    expect(got).toEqual(expected);
  });

  test("behind one proxy only the last entry of the header counts", async () => {
    const { port, logged } = await startIngest(databaseUrl, { INGEST_ADDRESS_RATE: "1", INGEST_TRUST_PROXY: "1" });
    const got: number[] = [];
    for (const made of ["10.0.0.1", "10.0.0.2"]) {
      got.push((await send(port, { headers: { "x-forwarded-for": `${made}, 192.0.2.1` } })).status);
    }
    expect(got).toEqual([401, 429]);
    expect(logged()).toContain('"address":"192.0.2.1"');
  });
});

describe("time and patience", () => {
  test("what arrives while too much waits gets 503 and when to come again; what waited is stored", async () => {
    const { port } = await startIngest(databaseUrl, { INGEST_MAX_WAITING: "1" });
    const release = await blockIntake(store);
    const underWay = send(port);
    await eventually(async () => expect(await commitsHeld(store)).toBe(1));
    const waiting = send(port);
    const refused = await eventually(async () => {
      const answer = await Promise.race([send(port), new Promise<never>((_, reject) => setTimeout(reject, 500))]);
      expect(answer.status).toBe(503);
      return answer;
    });
    expect(refused.headers["retry-after"]).toBe("5");
    expect(refused.headers["content-type"]).toBe("application/problem+json");
    await release();
    expect([(await underWay).status, (await waiting).status]).toEqual([200, 200]);
    // And how long it took, and how many were refused so, is told for the Overview.
    await eventually(
      async () => {
        const { recent, minutes } = await readAnswerTimes(store);
        expect(minutes.reduce((sum, { acknowledged }) => sum + acknowledged, 0)).toBe(2);
        expect(recent.p99Ms).toBeGreaterThan(0);
        expect(recent.unavailable).toBeGreaterThanOrEqual(1);
      },
      { timeoutMs: 30_000 },
    );
  });

  test("a sender whose headers trickle in is cut off", async () => {
    const { port, ingest } = await startIngest(databaseUrl);
    ingest.server.headersTimeout = 200;
    ingest.server.requestTimeout = 400;
    const connection = await connectRaw(port);
    connection.write(`POST ${WEBHOOK} HTTP/1.1\r\nHost: test\r\n`);
    const trickle = setInterval(() => connection.write("X-More: of it\r\n"), 50);
    await connection.closed;
    clearInterval(trickle);
    expect(connection.received()).toMatch(/^(HTTP\/1\.1 408 |$)/);
  });

  test("a sender whose body trickles in is cut off, and leaves no trace", async () => {
    const { port, ingest } = await startIngest(databaseUrl);
    ingest.server.headersTimeout = 200;
    ingest.server.requestTimeout = 400;
    const wire = onTheWire(eventBody());
    const connection = await connectRaw(port);
    connection.write(wire.subarray(0, -20));
    const trickle = setInterval(() => connection.write(" "), 400);
    await connection.closed;
    clearInterval(trickle);
    expect(connection.received()).not.toContain(" 200 ");
    expect(await countRows(store)).toEqual({ events: 0, pending: 0 });
  });

  test("a sender that hangs up in the middle of its body leaves no trace, and nobody else notices", async () => {
    const { port, ingest, logged } = await startIngest(databaseUrl);
    const connection = await connectRaw(port);
    connection.write(onTheWire(eventBody()).subarray(0, -20));
    await eventually(async () => expect(await connectionsOf(ingest)).toBe(1));
    connection.socket.destroy();
    await eventually(async () => expect(await connectionsOf(ingest)).toBe(0));
    expect((await send(port)).status).toBe(200);
    expect(await countRows(store)).toEqual({ events: 1, pending: 1 });
    expect(logged()).not.toContain('"level":"error"');
  });

  test("a sender that hangs up before its answer has its event stored", async () => {
    const { port, logged } = await startIngest(databaseUrl);
    const release = await blockIntake(store);
    const connection = await connectRaw(port);
    connection.write(onTheWire(eventBody()));
    await eventually(async () => expect(await commitsHeld(store)).toBe(1));
    connection.socket.destroy();
    await release();
    await eventually(async () => expect((await countRows(store)).events).toBe(1));
    expect(logged()).not.toContain('"level":"error"');
  });

  test("a body that says it is shorter than it is is not taken", async () => {
    const { port } = await startIngest(databaseUrl);
    const body = eventBody();
    const connection = await connectRaw(port);
    connection.write(onTheWire(body, { ...signed(body), "Content-Length": String(body.length - 5) }));
    await eventually(() => expect(connection.received()).toMatch(/^HTTP\/1\.1 40[01] /));
    expect((await countRows(store)).events).toBe(0);
  });

  function connectionsOf({ server }: { server: Server }): Promise<number> {
    return new Promise((resolve, reject) =>
      server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );
  }
});

describe("large bodies", () => {
  const MiB = 1_048_576;
  const LARGEST = 25 * MiB;
  const sources = defineSources({ buzzbip: buzzbip({ maxBodyBytes: LARGEST }) });
  /** A signed event of so many bytes: blanks may stand behind JSON. */
  const largeBody = (bytes: number): Buffer => {
    const body = eventBody();
    return Buffer.concat([body, Buffer.alloc(bytes - body.length, " ")]);
  };

  test("of 25 MiB are stored byte for byte where their source allows it, and one byte more is refused", async () => {
    const { port, store } = await startIngest(databaseUrl, {}, sources);
    const body = largeBody(LARGEST);
    // Where the commit takes too long it is sent again, as providers do.
    await eventually(async () => expect((await send(port, { body })).status).toBe(200), { timeoutMs: 60_000 });
    expect((await send(port, { body: largeBody(LARGEST + 1) })).status).toBe(413);
    const [recorded, ...others] = await recordEvents(store);
    expect([recorded?.body.equals(body), others]).toEqual([true, []]);
  });

  test("that have no room get 503 before they are read, others do not notice, and there is room again", async () => {
    const { port } = await startIngest(databaseUrl, { INGEST_BODY_MEMORY: "32MiB" }, sources);
    const body = largeBody(24 * MiB);
    const slow = await connectRaw(port);
    const wire = onTheWire(body);
    slow.write(wire.subarray(0, -1));
    // What the kernels still hold is too little to make room for what comes now.
    await eventually(() => expect(slow.socket.writableLength).toBe(0));
    const refused = await send(port, { body: largeBody(24 * MiB) });
    expect(refused.status).toBe(503);
    expect(refused.headers).toMatchObject({ "retry-after": "5", connection: "close" });
    const chunked = await send(port, { body: largeBody(20 * MiB), chunked: true });
    expect(chunked.status).toBe(503);
    expect((await send(port)).status).toBe(200);
    slow.write(wire.subarray(-1));
    await eventually(() => expect(slow.received()).toMatch(/^HTTP\/1\.1 200 /));
    await eventually(async () => expect((await send(port, { body })).status).toBe(200), { timeoutMs: 60_000 });
  });

  test.runIf(existsSync("/proc/self/status"))("however many come at once, take bounded memory", async () => {
    const env = { INGEST_BODY_MEMORY: "64MiB", MAX_BODY_BYTES: String(LARGEST) };
    const main = new URL("../src/main.ts", import.meta.url);
    const ingest = startProcess({ file: main, name: "ingest", env: environment(databaseUrl, env) });
    const [line] = await ingest.waitForLine(/.*"msg":"ingest ready".*/);
    const { port } = JSON.parse(line) as { port: number };
    const peakMiB = async (): Promise<number> => {
      const status = await readFile(`/proc/${ingest.pid}/status`, "utf8");
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
    };
    const before = await peakMiB();
    const bodies = Array.from({ length: 16 }, () => largeBody(24 * MiB));
    // A sender that is still writing when it is refused may see its connection end.
    const statuses = await Promise.all(
      bodies.map((body) =>
        send(port, { body }).then(
          ({ status }) => status,
          () => 0,
        ),
      ),
    );
    expect(statuses).toContain(200);
    expect(statuses.filter((status) => status !== 200 && status !== 503 && status !== 0)).toEqual([]);
    expect((await peakMiB()) - before).toBeLessThan(16 * 24);
  });
});
