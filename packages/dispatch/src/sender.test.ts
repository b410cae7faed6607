import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { createCertificate } from "@penstock/testing/certificate";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createGuard } from "./guard.ts";
import { type Answer, createSender, isSuccess, type Sender, type SenderOptions } from "./sender.ts";

const guard = createGuard({ allow: ["127.0.0.0/8", "::1"] });
const body = Buffer.from('{"id":"evt_1"}');
const SECRET = "whsec_c2VjcmV0c2VjcmV0";

function newSender(options: Partial<SenderOptions> = {}): Sender {
  const sender = createSender({ guard, ...options });
  onTestFinished(() => sender.close());
  return sender;
}

/** What came of one post by a sender of its own. */
const post = (url: string, options: Partial<Parameters<Sender["post"]>[0]> = {}): Promise<Answer> =>
  newSender().post({ url, headers: { "X-BuzzBip-Signature": SECRET }, body, ...options });

interface Sink {
  readonly url: string;
  readonly seen: {
    connections: number;
    mostConnections: number;
    requests: { headers: http.IncomingHttpHeaders; body: string }[];
  };
}

type Server = net.Server & { closeAllConnections?(): void };

async function listen(server: Server): Promise<{ port: number; seen: Sink["seen"] }> {
  const seen: Sink["seen"] = { connections: 0, mostConnections: 0, requests: [] };
  const open = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    seen.connections++;
    open.add(socket);
    seen.mostConnections = Math.max(seen.mostConnections, open.size);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

/** A receiver that reads each request and answers as it is told. */
async function startSink(
  answer: (response: http.ServerResponse) => unknown = (response) => response.end("ok"),
): Promise<Sink> {
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      seen.requests.push({ headers: request.headers, body: text });
      void answer(response);
    });
  });
  const { port, seen } = await listen(server);
  return { url: `http://127.0.0.1:${port}/hook?token=s3cret`, seen };
}

/** A receiver that does as it is told with each connection. */
async function startRawSink(serve: (socket: net.Socket) => void): Promise<Sink> {
  const { port, seen } = await listen(net.createServer(serve));
  return { url: `http://127.0.0.1:${port}/hook`, seen };
}

test("a request arrives as it was posted, and its answer comes back", async () => {
  const { url, seen } = await startSink((response) =>
    response.writeHead(202, { "Content-Type": "text/plain" }).end("taken"),
  );
  const answer = await post(url, { headers: { "X-BuzzBip-Signature": "abc", "webhook-id": "msg_1" } });
  expect(answer).toEqual({
    answered: true,
    status: 202,
    body: "taken",
    retryAfterMs: null,
    durationMs: expect.any(Number),
  });
  expect(seen.requests).toEqual([
    {
      body: body.toString(),
      headers: {
        host: new URL(url).host,
        connection: "keep-alive",
        "content-type": "application/json",
        "content-length": String(body.length),
        "user-agent": "Penstock",
        "x-buzzbip-signature": "abc",
        "webhook-id": "msg_1",
      },
    },
  ]);
});

test.each([
  [199, false],
  [200, true],
  [204, true],
  [299, true],
  [300, false],
  [302, false],
  [410, false],
  [500, false],
])("%i is a success: %s", (status, success) => {
  expect(isSuccess(status)).toBe(success);
});

test.each([301, 302, 303, 307, 308])(
  "a redirect (%i) is an answer, and where it leads nobody knocks",
  async (status) => {
    const inside = await startSink();
    const { url, seen } = await startSink((response) => response.writeHead(status, { Location: inside.url }).end());
    expect(await post(url)).toMatchObject({ answered: true, status, body: "" });
    await sleep(20);
    expect(seen.requests).toHaveLength(1);
    expect(inside.seen.connections).toBe(0);
  },
);

describe("answers that a client has to take, or may (RFC 9110, sections 15.2 and 8.6)", () => {
  const FINAL = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const interim = (status: number, headers = ""): string => `HTTP/1.1 ${status} Interim\r\n${headers}\r\n`;
  const certificate = createCertificate(["localhost"]);

  /** A receiver that answers each request with these pieces, one after the other. */
  const answering =
    (...pieces: readonly string[]) =>
    (socket: net.Socket): void => {
      socket.setNoDelay(true);
      socket.on("data", () => writeNext(0));
      function writeNext(at: number): void {
        const piece = pieces[at];
        // In a later turn, so that each piece is read by itself.
        if (piece !== undefined) socket.write(piece, () => setImmediate(writeNext, at + 1));
      }
    };

  test.each<[string, readonly string[]]>([
    ["a 100 that nobody asked for", [interim(100) + FINAL]],
    ["a 102", [interim(102) + FINAL]],
    ["a 103", [interim(103, "Link: </x>\r\n") + FINAL]],
    ["a status that is not known yet", [interim(199) + FINAL]],
    ["an interim answer that closes a connection", [interim(102, "Connection: close\r\n") + FINAL]],
    ["an interim answer of HTTP/1.0", ["HTTP/1.0 103 Early Hints\r\n\r\n", FINAL]],
    ["several of them", [interim(100) + interim(102), interim(102) + interim(103, "Link: </x>\r\n"), FINAL]],
    ["a hundred of them", [interim(102).repeat(100) + FINAL]],
    ["a final answer in one piece with the end of an interim one", ["HTTP/1.1 100 Con", `tinue\r\n\r\n${FINAL}`]],
    ["an interim answer byte by byte", Array.from(interim(100) + FINAL)],
    ["two equal Content-Length headers", ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length:2 \r\n\r\nok"]],
    [
      "three of them with others between",
      [`HTTP/1.1 200 OK\r\n${"Content-Length: 2\r\nX: content-length: 9\r\n".repeat(3)}\r\nok`],
    ],
    ["a list of equal lengths", ["HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"]],
    [
      "two equal lengths byte by byte",
      Array.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    ],
    ["both at once", [interim(100), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"]],
  ])("%s", async (_, pieces) => {
    const { url, seen } = await startRawSink(answering(...pieces));
    const sender = newSender();
    for (let count = 0; count < 3; count++) {
      expect(await sender.post({ url, headers: {}, body, timeoutMs: 5_000 })).toMatchObject({
        answered: true,
        status: 200,
        body: "ok",
      });
      // As soon as undici takes the connection for the next request.
      await nextTurn();
    }
    expect(seen.connections).toBe(1);
  });

  test("what looks like an interim answer within a body is a part of the body", async () => {
    const text = `\r\n\r\n${interim(100)}${FINAL}`;
    const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
    for (const pieces of [
      [`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n`, text],
      [interim(100) + chunked.slice(0, 60), chunked.slice(60)],
    ]) {
      const { url } = await startRawSink(answering(...pieces));
      const answer = await post(url, { timeoutMs: 5_000 });
      expect(answer).toMatchObject({ status: 200, body: text.replaceAll("\r", "\\r").replaceAll("\n", "\\n") });
    }
  });

  test("over TLS, too", async () => {
    const receiver = https.createServer(certificate, (request, response) => {
      request.resume();
      request.on("end", () => {
        response.writeProcessing();
        response.writeContinue();
        response.end("ok");
      });
    });
    const { port } = await listen(receiver);
    const sender = newSender({ ca: [certificate.cert] });
    const target = `https://localhost:${port}/hook`;
    expect(await sender.post({ url: target, headers: {}, body })).toMatchObject({ status: 200, body: "ok" });
  });

  test.each([100, 102, 103])("by HTTP/2, a %i", async (status) => {
    const receiver = http2.createSecureServer(certificate);
    receiver.on("stream", (stream) => {
      stream.additionalHeaders({ ":status": status });
      stream.respond({ ":status": 200 });
      stream.end("ok");
    });
    const { port } = await listen(receiver);
    const sender = newSender({ ca: [certificate.cert] });
    const target = `https://localhost:${port}/hook`;
    expect(await sender.post({ url: target, headers: {}, body })).toMatchObject({ status: 200, body: "ok" });
  });

  test.each<[string, string, string, RegExp]>([
    ["more than a hundred interim answers", interim(102).repeat(101) + FINAL, "INVALID_RESPONSE", /^More than 100/],
    ["interim answers and no final one", interim(100).repeat(1_000_000), "INVALID_RESPONSE", /^More than 100/],
    ["a 101 without an upgrade", interim(101) + FINAL, "ECONNRESET", /101/],
    [
      "lengths that differ",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
      "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
      /./,
    ],
    [
      "lengths that are written differently",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\nok",
      "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
      /./,
    ],
    [
      "a list of lengths that differ",
      "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
      "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
      /./,
    ],
    [
      "equal lengths beside chunks",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
      /./,
    ],
    ["an interim answer and then an end", `${interim(100)}END`, "ECONNRESET", /./],
  ])("%s is a failure", async (_, text, code, message) => {
    const { url } = await startRawSink((socket) =>
      socket.once("data", () => (text.endsWith("END") ? socket.end(text.slice(0, -3)) : socket.write(text))),
    );
    const answer = await post(url, { timeoutMs: 5_000 });
    expect(answer).toMatchObject({ answered: false, code, message: expect.stringMatching(message) });
  });
});

describe("Retry-After", () => {
  const inAMinute = (): string => new Date(Date.now() + 60_000).toUTCString();

  test.each<[string | string[] | undefined, number | null, number?]>([
    ["120", 120_000],
    ["0", 0],
    [" 7 ", 7_000],
    [["5", "6"], 5_000],
    [inAMinute(), 50_000, 61_000],
    ["Wed, 21 Oct 2015 07:28:00 GMT", 0],
    ["-1", null],
    ["1.5", null],
    ["soon", null],
    ["99999999999", null],
    ["2099-01-01", null],
    ["Fri, 31 Foo 2099 23:59:59 GMT", null],
    [undefined, null],
  ])("%j", async (value, least, most = least ?? 0) => {
    const { url } = await startSink((response) =>
      response.writeHead(503, value === undefined ? {} : { "Retry-After": value }).end(),
    );
    const answer = await post(url);
    if (!answer.answered) throw new Error(answer.message);
    if (least === null) expect(answer.retryAfterMs).toBeNull();
    else {
      expect(answer.retryAfterMs).toBeGreaterThanOrEqual(least);
      expect(answer.retryAfterMs).toBeLessThanOrEqual(most);
    }
  });
});

describe("ten seconds (here less) are for the whole exchange", () => {
  test.each<[string, (socket: net.Socket) => void]>([
    ["a connection on which nothing happens", (socket) => void socket.resume()],
    ["headers that drip", (socket) => drip(socket, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n")],
    ["a body that drips", (socket) => drip(socket, "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", "x")],
    [
      "a body that never ends",
      (socket) => drip(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ],
    ["answers before the answer, for ever", (socket) => drip(socket, "", "HTTP/1.1 103 Early Hints\r\n\r\n")],
  ])("%s", async (_, serve) => {
    let closed = 0;
    const { url } = await startRawSink((socket) => {
      socket.on("close", () => closed++);
      serve(socket);
    });
    const answer = await post(url, { timeoutMs: 150 });
    expect(answer).toMatchObject({ answered: false, code: "TIMEOUT", message: "No complete answer within 150 ms." });
    expect(answer.durationMs).toBeGreaterThanOrEqual(145);
    expect(answer.durationMs).toBeLessThan(5_000);
    // It is not only given up on: the connection is gone.
    await vi.waitFor(() => expect(closed).toBe(1), 5_000);
  });

  test("TLS handshakes that are never answered, which hold up nothing once they are", async () => {
    const certificate = createCertificate(["localhost"]);
    const receiver = https.createServer(certificate, (_, response) => response.end("well again"));
    let well = false;
    let closed = 0;
    const { url, seen } = await startRawSink((socket) => {
      socket.on("close", () => closed++);
      if (well) receiver.emit("connection", socket);
      else socket.resume();
    });
    const target = url.replace("http://127.0.0.1", "https://localhost");
    const sender = newSender({ ca: [certificate.cert] });
    const posts = Array.from({ length: 8 }, () => sender.post({ url: target, headers: {}, body, timeoutMs: 100 }));
    for (const answer of await Promise.all(posts)) expect(answer).toMatchObject({ code: "TIMEOUT" });
    await vi.waitFor(() => expect(closed).toBe(seen.connections), 5_000);
    well = true;
    expect(await sender.post({ url: target, headers: {}, body, timeoutMs: 5_000 })).toMatchObject({
      body: "well again",
    });
  });

  test("a name that is never answered for", async () => {
    const silent = { resolve4: () => new Promise<never>(() => {}), resolve6: () => new Promise<never>(() => {}) };
    const sender = createSender({ guard: createGuard({ resolver: silent }) });
    const answer = await sender.post({ url: "https://silent.example/", headers: {}, body, timeoutMs: 50 });
    expect(answer).toMatchObject({ answered: false, code: "TIMEOUT" });
    // Nor does what waits for it hold up the end.
    await sender.close();
  });

  test("what waits for a connection is in its own time, and is not sent once that is over", async () => {
    const waiting: http.ServerResponse[] = [];
    const { url, seen } = await startSink((response) => void waiting.push(response));
    const sender = newSender({ connectionsPerOrigin: 1 });
    const first = sender.post({ url, headers: {}, body });
    await vi.waitFor(() => expect(waiting).toHaveLength(1), 5_000);
    expect(await sender.post({ url, headers: {}, body, timeoutMs: 50 })).toMatchObject({ code: "TIMEOUT" });
    waiting[0]?.end();
    expect(await first).toMatchObject({ status: 200 });
    const last = sender.post({ url, headers: {}, body });
    await vi.waitFor(() => expect(waiting).toHaveLength(2), 5_000);
    waiting[1]?.end();
    expect(await last).toMatchObject({ status: 200 });
    expect(seen.requests).toHaveLength(2);
  });

  function drip(socket: net.Socket, start: string, more: string): void {
    socket.write(start);
    const timer = setInterval(() => socket.write(more), 10);
    socket.on("close", () => clearInterval(timer));
    socket.on("error", () => {});
    socket.resume();
  }
});

describe("aborted", () => {
  test("before it began, nothing is sent", async () => {
    const { url, seen } = await startSink();
    expect(await post(url, { signal: AbortSignal.abort() })).toMatchObject({ answered: false, code: "ABORTED" });
    expect(seen.connections).toBe(0);
  });

  test("under way", async () => {
    const stop = new AbortController();
    const { url } = await startSink(() => stop.abort());
    expect(await post(url, { signal: stop.signal })).toMatchObject({ answered: false, code: "ABORTED" });
  });

  test("one signal may serve many posts, and is let go of", async () => {
    const warned = vi.fn<() => void>();
    process.on("warning", warned);
    onTestFinished(() => void process.off("warning", warned));
    const { signal } = new AbortController();
    const [add, remove] = [vi.spyOn(signal, "addEventListener"), vi.spyOn(signal, "removeEventListener")];
    const { url } = await startSink();
    const sender = newSender();
    await Promise.all(Array.from({ length: 50 }, () => sender.post({ url, headers: {}, body, signal })));
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
    expect(warned).not.toHaveBeenCalled();
  });
});

describe("what goes wrong is an answer", () => {
  const OK = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npartial";

  test.each<[string, string, (socket: net.Socket) => void]>([
    ["a reset", "ECONNRESET", (socket) => socket.once("data", () => socket.resetAndDestroy())],
    ["a connection that ends", "ECONNRESET", (socket) => socket.once("data", () => socket.end())],
    [
      "a reset within the body",
      "ECONNRESET",
      (socket) => socket.once("data", () => socket.write(OK, () => socket.resetAndDestroy())),
    ],
    ["an end within the body", "ECONNRESET", (socket) => socket.once("data", () => socket.end(OK))],
    ["no HTTP", "INVALID_RESPONSE", (socket) => socket.once("data", () => socket.end("SSH-2.0-OpenSSH_9.6\r\n"))],
    [
      "headers without end",
      "UND_ERR_HEADERS_OVERFLOW",
      (socket) => socket.once("data", () => socket.write(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}`)),
    ],
    [
      "a protocol that was not asked for",
      "ECONNRESET",
      (socket) =>
        socket.once("data", () =>
          socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ),
    ],
  ])("%s", async (_, code, serve) => {
    const { url } = await startRawSink(serve);
    const answer = await post(url, { timeoutMs: 5_000 });
    expect(answer).toMatchObject({ answered: false, code, message: expect.stringMatching(/\w/) });
    expect(JSON.stringify(answer)).not.toContain(SECRET);
  });

  test("nobody listens", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    for (const host of ["127.0.0.1", "localhost"]) {
      expect(await post(`http://${host}:${port}/s3cret`)).toEqual({
        answered: false,
        code: "ECONNREFUSED",
        message: expect.stringMatching(/^(?!.*s3cret).*ECONNREFUSED/),
        durationMs: expect.any(Number),
      });
    }
  });

  test("TLS where there is none", async () => {
    const { url } = await startSink();
    expect(await post(url.replace("http:", "https:"))).toMatchObject({
      code: expect.stringMatching(/SSL|ECONNRESET/),
      message: expect.not.stringContaining("openssl/"),
    });
  });

  test("a header that cannot be sent: its value is not told", async () => {
    const { url, seen } = await startSink();
    const answer = await post(url, { headers: { "X-Signature": `${SECRET}\r\nX-Other: 1` } });
    expect(answer).toMatchObject({ answered: false, message: "invalid X-Signature header" });
    expect(JSON.stringify(answer)).not.toContain(SECRET);
    expect(seen.requests).toEqual([]);
  });

  test("a URL that is refused: nothing is connected to", async () => {
    const { url, seen } = await startSink();
    const sender = createSender({ guard: createGuard({ ports: [Number(new URL(url).port)] }) });
    expect(await sender.post({ url: url.replace("http:", "https:"), headers: {}, body })).toMatchObject({
      answered: false,
      code: "REFUSED_ADDRESS",
      rule: "loopback",
    });
    expect(seen.connections).toBe(0);
    await sender.close();
  });

  test("a guard that judged the URL and not the address: the connection is refused all the same", async () => {
    const { url, seen } = await startSink();
    const strict = createGuard();
    const sender = createSender({ guard: { ...strict, checkUrl: (text) => ({ ok: true, url: new URL(text) }) } });
    expect(await sender.post({ url, headers: {}, body })).toMatchObject({ code: "REFUSED_ADDRESS", rule: "loopback" });
    expect(seen.connections).toBe(0);
    await sender.close();
  });

  test("posting after the end", async () => {
    const { url, seen } = await startSink();
    const sender = createSender({ guard });
    await sender.close();
    expect(await sender.post({ url, headers: {}, body })).toMatchObject({ answered: false, code: "CLOSED" });
    expect(seen.connections).toBe(0);
  });
});

describe("bodies", () => {
  test("one that is longer than 64 KiB is dropped with its connection, and the status counts", async () => {
    let written = 0;
    const { url } = await startSink(async (response) => {
      response.writeHead(200, { "Content-Type": "text/plain" });
      while (!response.destroyed && written < 1e9) {
        written += 65_536;
        if (!response.write("x".repeat(65_536))) await nextTurn();
      }
    });
    expect(await post(url)).toMatchObject({ answered: true, status: 200, body: "x".repeat(1_000) });
    await vi.waitFor(() => expect(written).toBeLessThan(50e6), 5_000);
  });

  test("one of 64 KiB is read to its end, and its connection used again", async () => {
    const { url, seen } = await startSink((response) => response.end("y".repeat(65_536)));
    const sender = newSender();
    for (let count = 0; count < 3; count++) {
      expect(await sender.post({ url, headers: {}, body })).toMatchObject({ status: 200, body: "y".repeat(1_000) });
      await nextTurn();
    }
    expect(seen.connections).toBe(1);
  });

  test("one that is compressed is not inflated", async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const { url } = await startSink((response) => response.writeHead(200, { "Content-Encoding": "gzip" }).end(bomb));
    expect(await post(url)).toMatchObject({ answered: true, body: "(a body in content-encoding gzip)" });
  });

  test.each([
    ["control characters", Buffer.from("a\0b\u001b[31m\nc\u202e"), "a\\u0000b\\u001b[31m\\nc\\u202e"],
    ["what is no UTF-8", Buffer.from([0x61, 0xff, 0xfe, 0x62]), "a\ufffd\ufffdb"],
    ["four bytes each", Buffer.from("👋".repeat(2_000)), "👋".repeat(500)],
    ["nothing", Buffer.alloc(0), ""],
  ])("%s", async (_, bytes, expected) => {
    const { url } = await startSink((response) => response.end(bytes));
    expect(await post(url)).toMatchObject({ answered: true, body: expected });
  });
});

describe("connections", () => {
  test("are used again, one after the other", async () => {
    const { url, seen } = await startSink();
    const sender = newSender();
    for (let count = 0; count < 20; count++) {
      await sender.post({ url, headers: {}, body });
      // For as long undici waits for a receiver that closes although it said otherwise, and would open a second one.
      await nextTurn();
    }
    expect(seen.requests).toHaveLength(20);
    expect(seen.connections).toBe(1);
  });

  test("are bounded for each origin", async () => {
    const { url, seen } = await startSink((response) => setTimeout(() => response.end(), 5));
    const sender = newSender({ connectionsPerOrigin: 3 });
    const answers = await Promise.all(Array.from({ length: 60 }, () => sender.post({ url, headers: {}, body })));
    expect(answers.every((answer) => answer.answered && answer.status === 200)).toBe(true);
    expect(seen.mostConnections).toBe(3);
    expect(seen.connections).toBe(3);
  });

  test("that are idle are closed, whatever the receiver hopes for", async () => {
    let closed = 0;
    const { url } = await startRawSink((socket) => {
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: 0\r\n\r\n"));
      socket.on("close", () => closed++);
    });
    const sender = newSender({ keepAliveMs: 100 });
    expect(await sender.post({ url, headers: {}, body })).toMatchObject({ status: 200 });
    await vi.waitFor(() => expect(closed).toBe(1), 10_000);
  });

  test("that the receiver has closed meanwhile are replaced", async () => {
    const { url, seen } = await startSink((response) => response.writeHead(200, { Connection: "close" }).end());
    const sender = newSender();
    for (let count = 0; count < 3; count++) {
      expect(await sender.post({ url, headers: {}, body })).toMatchObject({ status: 200 });
    }
    expect(seen.connections).toBe(3);
  });
});

describe("a proxy in the environment", () => {
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "NODE_USE_ENV_PROXY"];
  afterEach(() => vi.unstubAllEnvs());

  test("is not asked", async () => {
    const proxy = await startSink();
    const { url, seen } = await startSink();
    for (const name of names) vi.stubEnv(name, name === "NODE_USE_ENV_PROXY" ? "1" : new URL(proxy.url).origin);
    expect(await post(url)).toMatchObject({ status: 200 });
    await post(url.replace("http:", "https:"));
    expect(seen.requests).toHaveLength(1);
    expect(proxy.seen.connections).toBe(0);
  });
});

describe("TLS", () => {
  const { key, cert } = createCertificate(["localhost", "hooks.example"]);

  /** A receiver that speaks HTTP/2, and HTTP/1.1 where asked to. */
  async function startHttp2(): Promise<Sink & { protocols: string[]; most: () => number }> {
    const protocols: string[] = [];
    let [now, most] = [0, 0];
    const server = http2.createSecureServer({ key, cert, allowHTTP1: true }, (request, response) => {
      protocols.push(request.httpVersion);
      most = Math.max(most, ++now);
      request.resume();
      request.on("end", () =>
        setTimeout(() => {
          now--;
          response.writeHead(200, { "retry-after": "3" }).end("by 2");
        }, 50),
      );
    });
    const { port, seen } = await listen(server);
    return { url: `https://localhost:${port}/hook`, seen, protocols, most: () => most };
  }

  async function startHttp1(certificate: { key: string; cert: string }): Promise<Sink> {
    const server = https.createServer(certificate, (request, response) => {
      request.resume();
      request.on("end", () => response.end("by 1"));
    });
    const { port, seen } = await listen(server);
    return { url: `https://localhost:${port}/hook`, seen };
  }

  test("HTTP/2 where it is offered: many requests over one connection, side by side", async () => {
    const { url, seen, protocols, most } = await startHttp2();
    const sender = newSender({ ca: [cert] });
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => sender.post({ url, headers: {}, body })));
      for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: "by 2", retryAfterMs: 3_000 });
    }
    expect(new Set(protocols)).toEqual(new Set(["2.0"]));
    expect(most()).toBeGreaterThan(5);
    expect(seen.connections).toBe(1);
  });

  test("a request by HTTP/2 that takes too long ends alone", async () => {
    const server = http2.createSecureServer({ key, cert });
    server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      if (headers[":path"] === "/slow") return;
      stream.respond({ ":status": 200 });
      stream.end("ok");
    });
    const { port, seen } = await listen(server);
    const sender = newSender({ ca: [cert] });
    const at = (path: string, timeoutMs = 10_000) =>
      sender.post({ url: `https://localhost:${port}${path}`, headers: {}, body, timeoutMs });
    expect(await at("/fast")).toMatchObject({ status: 200 });
    const [slow, fast] = await Promise.all([at("/slow", 100), at("/fast")]);
    expect(slow).toMatchObject({ answered: false, code: "TIMEOUT" });
    expect(fast).toMatchObject({ status: 200 });
    expect(await at("/fast")).toMatchObject({ status: 200 });
    expect(seen.connections).toBe(1);
  });

  test("a body by HTTP/2 that never ends is dropped at 64 KiB", async () => {
    const server = http2.createSecureServer({ key, cert });
    server.on("stream", (stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 500 });
      const timer = setInterval(() => void stream.write("z".repeat(20_000)), 1);
      stream.on("close", () => clearInterval(timer));
    });
    const { port } = await listen(server);
    const answer = await newSender({ ca: [cert] }).post({ url: `https://localhost:${port}/`, headers: {}, body });
    expect(answer).toMatchObject({ answered: true, status: 500, body: "z".repeat(1_000) });
  });

  test("HTTP/1.1 where that is all there is", async () => {
    const { url, seen } = await startHttp1({ key, cert });
    const sender = newSender({ ca: [cert] });
    for (let count = 0; count < 3; count++) {
      expect(await sender.post({ url, headers: {}, body })).toMatchObject({ status: 200, body: "by 1" });
      await nextTurn();
    }
    expect(seen.connections).toBe(1);
  });

  test("a certificate that nobody vouches for is refused, whatever the environment says", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    onTestFinished(() => void vi.unstubAllEnvs());
    const { url } = await startHttp1({ key, cert });
    expect(await post(url)).toMatchObject({ answered: false, code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  });

  test("a certificate for another name is refused", async () => {
    const other = createCertificate(["other.example"]);
    const { url } = await startHttp1(other);
    expect(await newSender({ ca: [other.cert] }).post({ url, headers: {}, body })).toMatchObject({
      answered: false,
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
  });

  test("a certificate that has expired is refused", async () => {
    const old = createCertificate(["localhost"], "20210101000000Z");
    const { url } = await startHttp1(old);
    expect(await newSender({ ca: [old.cert] }).post({ url, headers: {}, body })).toMatchObject({
      answered: false,
      code: "CERT_HAS_EXPIRED",
    });
  });
});
