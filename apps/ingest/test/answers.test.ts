import { Agent } from "node:http";
import { eventually } from "@penstock/testing";
import { describe, expect, test, vi } from "vitest";
import {
  connectRaw,
  countRows,
  eventBody,
  OLD_SECRET,
  onTheWire,
  databaseOfFile,
  recordEvents,
  send,
  type Sending,
  signed,
  startIngest,
  STORED,
  WEBHOOK,
} from "./ingest-under-test.ts";

const LIMIT = 4_096;

const { databaseUrl, store } = await databaseOfFile();

const start = (overrides: Record<string, string> = {}): ReturnType<typeof startIngest> =>
  startIngest(databaseUrl, { MAX_BODY_BYTES: String(LIMIT), ...overrides });

const NOTHING = { events: 0, pending: 0 };

/** A signed body of so many bytes. */
function bodyOf(bytes: number): Buffer {
  const body = eventBody();
  return Buffer.concat([body, Buffer.alloc(bytes - body.length, " ")]);
}

describe("what is signed is accepted", () => {
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

  test.each<[string, Buffer]>([
    ["an event of a known type", eventBody()],
    [
      "an event of an unknown type",
      json({ id: "evt_1", type: "planet.moved", createdAt: "2026-06-01T00:00:00Z", data: {} }),
    ],
    ["an event without an id", json({ type: "message.received", data: {} })],
    ["something that is no JSON", Buffer.from("{'id': evt_1}")],
    ["something that is no UTF-8", Buffer.from([0x7b, 0xc3, 0x28, 0x7d])],
    ["JSON that is no object", json(["evt_1"])],
    ["an empty body", Buffer.alloc(0)],
    ["a body of exactly the limit", bodyOf(LIMIT)],
    [
      "an id with NUL and half a surrogate pair",
      json({ id: "\0\ud800", type: "message.received", data: { contactId: "\0" } }),
    ],
    ["a bomb of brackets", Buffer.from("[".repeat(LIMIT))],
  ])("%s gets 200 and is stored, byte for byte", async (_, body) => {
    const { port } = await start();
    const answer = await send(port, { body });
    expect(answer).toMatchObject({ status: 200, text: '{"status":"accepted"}' });
    expect(answer.headers["content-type"]).toBe("application/json");
    const { rows } = await store.pool.query<{ body: Buffer }>(`SELECT body FROM ${STORED}`);
    expect(rows.map((row) => row.body)).toEqual([body]);
    expect(await countRows(store)).toEqual({ events: 1, pending: 1 });
  });

  test("a duplicate gets the same answer and is stored once", async () => {
    const { port } = await start();
    const body = eventBody();
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(port, { body })));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(
      new Set(['200 {"status":"accepted"}']),
    );
    expect(await recordEvents(store)).toHaveLength(1);
  });

  test("the same id with another body gets the same answer and is kept", async () => {
    const { port } = await start();
    const other = json({ ...(JSON.parse(eventBody("evt_1").toString()) as object), data: {} });
    for (const body of [eventBody("evt_1"), other]) expect((await send(port, { body })).status).toBe(200);
    expect((await recordEvents(store)).map(({ problem }) => problem)).toEqual([null, "id-conflict"]);
  });

  test.each<[string, (signature: string) => Record<string, string>]>([
    ["in upper-case hex", (hex) => ({ "X-BuzzBip-Signature": hex.toUpperCase() })],
    ["with sha256= in front", (hex) => ({ "X-BuzzBip-Signature": `sha256=${hex}` })],
    ["in base64", (hex) => ({ "X-BuzzBip-Signature": Buffer.from(hex, "hex").toString("base64") })],
    ["in a header of lower case", (hex) => ({ "x-buzzbip-signature": hex })],
    ["in a header of upper case", (hex) => ({ "X-BUZZBIP-SIGNATURE": hex })],
    ["of a body sent as plain text", (hex) => ({ "X-BuzzBip-Signature": hex, "content-type": "text/plain" })],
    [
      "of a body sent as a form",
      (hex) => ({ "X-BuzzBip-Signature": hex, "content-type": "application/x-www-form-urlencoded" }),
    ],
    ...["Identity", "utf-8", "UTF8", "", "none"].map((coding): [string, (hex: string) => Record<string, string>] => [
      `of a body whose content-encoding is ${JSON.stringify(coding)}, which codes nothing`,
      (hex) => ({ "X-BuzzBip-Signature": hex, "content-encoding": coding }),
    ]),
  ])("a signature %s is accepted", async (_, headersOf) => {
    const { port } = await start();
    const body = eventBody();
    const headers = headersOf(signed(body)["X-BuzzBip-Signature"]!);
    expect((await send(port, { body, headers })).status).toBe(200);
  });

  test("a second secret is accepted while the first is being rotated out, and a third is not", async () => {
    const { port } = await start();
    const body = eventBody();
    expect((await send(port, { body, headers: signed(body, OLD_SECRET) })).status).toBe(200);
    expect((await send(port, { body, headers: signed(body, "whsec_of_somebody_else") })).status).toBe(401);
  });

  test("a body that comes in chunks is accepted up to exactly the limit", async () => {
    const { port } = await start();
    expect((await send(port, { body: bodyOf(LIMIT), chunked: true })).status).toBe(200);
  });

  test("the event's trace is stored with it, and what is none, which nobody has signed, is not", async () => {
    const { port } = await start();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (const value of [traceparent, "\u00ff nonsense ".repeat(500)]) {
      const body = eventBody();
      expect((await send(port, { body, headers: { ...signed(body), traceparent: value } })).status).toBe(200);
    }
    const { rows } = await store.pool.query<{ traceparent: string }>(`SELECT traceparent FROM ${STORED} ORDER BY seq`);
    expect(rows).toEqual([{ traceparent }, { traceparent: null }]);
  });

  test("its batch has a job as soon as it is answered", async () => {
    const { port, queue } = await start();
    const jobs: number[] = [];
    const consumer = queue.consume(async ({ batches }) => void jobs.push(...batches), { concurrency: 1 });
    await send(port);
    const { rows } = await store.pool.query<{ batch: number }>("SELECT batch::int FROM penstock.pending");
    await eventually(() => expect(jobs).toContain(rows[0]?.batch));
    await consumer.close(1_000);
  });
});

describe("what is not signed leaves no trace", () => {
  const body = eventBody();
  const good = signed(body)["X-BuzzBip-Signature"]!;

  test.each<[string, Record<string, string>, string]>([
    ["no signature", {}, "missing-signature"],
    ["an empty signature", { "X-BuzzBip-Signature": "" }, "missing-signature"],
    [
      "a wrong signature",
      { "X-BuzzBip-Signature": signed(Buffer.from("another body"))["X-BuzzBip-Signature"]! },
      "mismatch",
    ],
    [
      "one with one digit changed",
      { "X-BuzzBip-Signature": (good.startsWith("0") ? "1" : "0") + good.slice(1) },
      "mismatch",
    ],
    ["a truncated one", { "X-BuzzBip-Signature": good.slice(0, -2) }, "malformed-signature"],
    ["one that is too long", { "X-BuzzBip-Signature": `${good}00` }, "malformed-signature"],
    ["two wrong ones", { "X-BuzzBip-Signature": `${"0".repeat(64)}, ${"1".repeat(64)}` }, "mismatch"],
    ["the halves of one", { "X-BuzzBip-Signature": `${good.slice(0, 32)}, ${good.slice(32)}` }, "malformed-signature"],
    ["a scheme of others", { "X-BuzzBip-Signature": `t=1,v1=${good}` }, "malformed-signature"],
    ["it in another header", { "X-Hub-Signature-256": good }, "missing-signature"],
  ])("a body with %s gets 401, the same as all others, and the reason only in the log", async (_, headers, reason) => {
    const { port, logged } = await start();
    const answer = await send(port, { body, headers });
    expect(answer.status).toBe(401);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(answer.text).toBe('{"type":"about:blank","status":401,"title":"Signature missing or wrong"}');
    expect(logged()).toContain(`"reason":"${reason}"`);
    expect(logged()).not.toContain(good);
    expect(await countRows(store)).toEqual(NOTHING);
  });

  test("a body that is not signed is not parsed", async () => {
    const { port } = await start();
    const parse = vi.spyOn(JSON, "parse");
    const bomb = Buffer.from("[".repeat(LIMIT));
    expect((await send(port, { body: bomb, headers: signed(body) })).status).toBe(401);
    expect(parse).not.toHaveBeenCalled();
    expect((await send(port, { body: bomb })).status).toBe(200);
    expect(parse).toHaveBeenCalledWith(bomb.toString());
    parse.mockRestore();
  });
});

describe("everything else gets a problem", () => {
  const isProblem = (text: string): boolean => Object.keys(JSON.parse(text) as object).join() === "type,status,title";

  test.each<[string, number, Sending]>([
    ["an unknown source", 404, { path: "/webhooks/unknown" }],
    ["a source in another spelling", 404, { path: "/webhooks/BuzzBip" }],
    ["a source that objects have", 404, { path: "/webhooks/constructor" }],
    ["a source named like a prototype", 404, { path: "/webhooks/__proto__" }],
    ["a source that cannot be decoded", 404, { path: "/webhooks/%E0%A4%A" }],
    ["a source with a slash in it", 404, { path: "/webhooks/a%2f..%2fbuzzbip" }],
    ["no source", 404, { path: "/webhooks" }],
    ["the root", 404, { path: "/", method: "GET" }],
    ["a path that is not there", 404, { path: "/admin", method: "GET" }],
    ["a gzipped body", 415, { headers: { "content-encoding": "gzip" } }],
    ["a body of several encodings", 415, { headers: { "content-encoding": "identity, br" } }],
    ["a body in an encoding by its old name", 415, { headers: { "content-encoding": "X-GZIP" } }],
    ["a body of more than the limit", 413, { body: bodyOf(LIMIT + 1) }],
    ["a chunked body of more than the limit", 413, { body: bodyOf(LIMIT + 1), chunked: true }],
  ])("%s gets %d", async (_, status, sending) => {
    const { port } = await start();
    const answer = await send(port, sending);
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(answer.text).toSatisfy(isProblem);
    expect(JSON.parse(answer.text)).toMatchObject({ status });
    expect(await countRows(store)).toEqual(NOTHING);
  });

  test.each(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])(
    "%s on a webhook gets 405 and what is allowed",
    async (method) => {
      const { port } = await start();
      const answer = await send(port, { method });
      expect(answer.status).toBe(405);
      expect(answer.headers.allow).toBe("POST");
      expect(answer.headers["content-type"]).toBe("application/problem+json");
      expect(answer.text).toSatisfy((text: string) => (method === "HEAD" ? text === "" : isProblem(text)));
      expect(await countRows(store)).toEqual(NOTHING);
    },
  );

  test("no answer says what makes it", async () => {
    const { port } = await start();
    const answers = [{}, { path: "/nothing" }, { headers: {} }, { path: "/healthz", method: "GET" }];
    for (const sending of answers) {
      const { headers } = await send(port, sending);
      expect(Object.keys(headers)).not.toContain("x-powered-by");
      expect(Object.keys(headers)).not.toContain("etag");
    }
  });
});

describe("connections", () => {
  test("one connection carries request after request, refused ones in between", async () => {
    const { port, ingest } = await start();
    let connections = 0;
    ingest.server.on("connection", () => connections++);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sendings = [
      {},
      { headers: {} },
      { path: "/webhooks/unknown" },
      { method: "GET" },
      { headers: { "content-encoding": "gzip" } },
      {},
    ];
    const statuses: number[] = [];
    for (const sending of sendings) statuses.push((await send(port, { agent, ...sending })).status);
    expect(statuses).toEqual([200, 401, 404, 405, 415, 200]);
    expect(connections).toBe(1);
    agent.destroy();
  });

  test("a sender whose body was too large is told that the connection ends, and its next request goes by another", async () => {
    const { port } = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const sending of [{ body: bodyOf(LIMIT + 1) }, { body: bodyOf(LIMIT + 1), chunked: true }]) {
      const refused = await send(port, { agent, ...sending });
      expect(refused.status).toBe(413);
      expect(refused.headers.connection).toBe("close");
      expect((await send(port, { agent })).status).toBe(200);
    }
    agent.destroy();
  });

  test("a sender that reads only when it has sent its far too large body hears that it is", async () => {
    const { port } = await start();
    const connection = await connectRaw(port);
    connection.socket.pause();
    const failure = await new Promise((resolve) =>
      connection.socket.write(onTheWire(Buffer.alloc(6 * 1024 * 1024), {}), resolve),
    );
    expect(failure ?? null).toBeNull();
    connection.socket.resume();
    await connection.closed;
    expect(connection.received()).toMatch(/^HTTP\/1\.1 413 [^]*Body too large/);
  });

  test("requests that are pipelined are answered in their order", async () => {
    const { port } = await start();
    const connection = await connectRaw(port);
    const [first, second, third] = [eventBody("evt_1"), eventBody("evt_2"), eventBody("evt_3")];
    connection.write(Buffer.concat([onTheWire(first), onTheWire(second, {}), onTheWire(third)]));
    await eventually(() =>
      expect(connection.received().match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 401", "HTTP/1.1 200"]),
    );
    expect((await countRows(store)).events).toBe(2);
  });

  test("a body many times the limit is refused before it is sent, and its sender hears of it", async () => {
    const { port } = await start();
    const connection = await connectRaw(port);
    connection.write(`POST ${WEBHOOK} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000000\r\n\r\n`);
    await eventually(() => expect(connection.received()).toMatch(/^HTTP\/1\.1 413 /));
    const flood = setInterval(() => connection.write(Buffer.alloc(65_536)), 1);
    await connection.closed;
    clearInterval(flood);
  });
});
