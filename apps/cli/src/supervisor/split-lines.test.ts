import { once } from "node:events";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { splitLines } from "./split-lines.ts";

async function linesOf(...chunks: Buffer[]): Promise<string[]> {
  const lines: string[] = [];
  const stream = Readable.from(chunks);
  splitLines(stream, (line) => lines.push(line));
  await once(stream, "end");
  return lines;
}

test("lines are whole however they were cut, also within a character, and the last one too", async () => {
  const bytes = Buffer.from('{"a":"é"}\n\n{"b":2}');
  for (let at = 0; at < bytes.length; at++) {
    expect(await linesOf(bytes.subarray(0, at), bytes.subarray(at))).toEqual(['{"a":"é"}', "", '{"b":2}']);
  }
});

test("a line separator inside JSON does not end a line", async () => {
  expect(await linesOf(Buffer.from('{"a":"\u2028\r"}\n'))).toEqual(['{"a":"\u2028\r"}']);
});

test("a line without an end is passed on in pieces", async () => {
  const lines = await linesOf(...Array.from({ length: 40 }, () => Buffer.alloc(65_536, "x")));
  expect(lines.map(({ length }) => length)).toEqual([1_114_112, 1_114_112, 393_216]);
});
