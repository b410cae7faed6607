import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { readBody } from "./read-body.ts";

const ROOM = { fits: () => true, take: () => true };

/** A request whose body the test brings in. */
function requestWith(headers: Record<string, string> = {}): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  Object.assign(request.headers, headers);
  return request;
}

test.each([
  ["one piece", ["hello"]],
  ["pieces", ["he", "l", "lo"]],
  ["no piece", []],
])("a body that comes in %s is read whole", async (_, pieces) => {
  const request = requestWith();
  const reading = readBody(request, 5, ROOM);
  for (const piece of pieces) request.push(Buffer.from(piece));
  request.push(null);
  expect(await reading).toEqual({ ok: true, body: Buffer.from(pieces.join("")) });
});

test("bytes are left as they are", async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const request = requestWith();
  const reading = readBody(request, 256, ROOM);
  request.push(bytes.subarray(0, 100));
  request.push(bytes.subarray(100));
  request.push(null);
  expect(await reading).toEqual({ ok: true, body: bytes });
});

test("a body that announces more than the limit is not read at all", async () => {
  const request = requestWith({ "content-length": "6" });
  expect(await readBody(request, 5, ROOM)).toEqual({ ok: false, reason: "too-large" });
  expect(request.listenerCount("data")).toBe(0);
});

test("a body that turns out larger than the limit is known as soon as it is", async () => {
  const request = requestWith();
  const reading = readBody(request, 5, ROOM);
  request.push(Buffer.from("hell"));
  request.push(Buffer.from("o!"));
  expect(await reading).toEqual({ ok: false, reason: "too-large" });
});

test("a body that announces exactly the limit is read", async () => {
  const request = requestWith({ "content-length": "5" });
  const reading = readBody(request, 5, ROOM);
  request.push(Buffer.from("hello"));
  request.push(null);
  expect(await reading).toMatchObject({ ok: true });
});

test.each([
  ["goes away", undefined],
  ["breaks", new Error("ECONNRESET")],
])("a sender that %s in the middle is told apart from one that was done", async (_, error) => {
  const request = requestWith();
  const reading = readBody(request, 5, ROOM);
  request.push(Buffer.from("he"));
  request.destroy(error);
  expect(await reading).toEqual({ ok: false, reason: "aborted" });
});

test("nothing listens on once the body is read", async () => {
  const request = requestWith();
  const reading = readBody(request, 5, ROOM);
  request.push(Buffer.from("hello"));
  request.push(null);
  await reading;
  for (const event of ["data", "end", "close", "error"]) expect(request.listenerCount(event)).toBe(0);
});
