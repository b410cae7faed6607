import type { Server } from "node:http";
import { readAnswerTimes } from "@penstock/store";
import { eventually } from "@penstock/testing";
import { describe, expect, test } from "vitest";
import {
  blockIntake,
  commitsHeld,
  connectRaw,
  countRows,
  eventBody,
  onTheWire,
  databaseOfFile,
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
