import { createHash } from "node:crypto";
import { once } from "node:events";
import { Readable, pipeline } from "node:stream";
import { createGunzip, createGzip } from "node:zlib";
import type { ArchivedEvent } from "@penstock/store";
import { type EventFileHeader, endLine, fromLine, toLine } from "./event-line.ts";

/** Thrown when a file of events was cut off, or was changed. */
export class ArchiveDamagedError extends Error {
  readonly code = "ARCHIVE_DAMAGED";
  override readonly name = "ArchiveDamagedError";
}

/** A file of events that is complete, compressed, in memory. */
export interface PackedFile {
  readonly bytes: Buffer;
  readonly sha256: string;
  readonly events: number;
  /** Of all bodies. */
  readonly bodyBytes: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** A part is at most so many times larger when it is read than when it is stored. */
const RATIO = 64;

/** Packs events as they come. `size` tells how much memory it takes by now. */
export function createPacker(header: EventFileHeader) {
  const gzip = createGzip();
  const chunks: Buffer[] = [];
  let [size, read, events, bodyBytes, firstSeq, lastSeq] = [0, 0, 0, 0, 0, 0];
  gzip.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
  });
  gzip.write(`${JSON.stringify(header)}\n`);
  return {
    size: () => Math.max(size, read / RATIO),
    count: () => events,
    async add(event: ArchivedEvent): Promise<void> {
      if (events === 0) firstSeq = event.seq;
      lastSeq = event.seq;
      events++;
      bodyBytes += event.body.length;
      const line = toLine(event);
      read += line.length;
      if (!gzip.write(line)) await once(gzip, "drain");
    },
    async end(): Promise<PackedFile> {
      const ended = once(gzip, "end");
      gzip.end(endLine(events));
      await ended;
      const bytes = Buffer.concat(chunks);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      return { bytes, sha256, events, bodyBytes, firstSeq, lastSeq };
    },
  };
}

/** A file of events as its lines, uncompressed. */
export async function* toLines(header: EventFileHeader, events: AsyncIterable<ArchivedEvent>): AsyncGenerator<string> {
  yield `${JSON.stringify(header)}\n`;
  let count = 0;
  for await (const event of events) {
    yield toLine(event);
    count++;
  }
  yield endLine(count);
}

/** A file whose first line says what the others are. */
export interface OpenedFile {
  /** The first line; null where it is no JSON object. */
  readonly header: Readonly<Record<string, unknown>> | null;
  /** The other lines, without what ends them. */
  readonly lines: AsyncGenerator<string>;
}

/** Opens a file of lines, compressed by gzip or not, and reads its first one. */
export async function openLines(chunks: AsyncIterable<Buffer>): Promise<OpenedFile> {
  const lines = splitLines(decompress(chunks));
  const first = await lines.next();
  return { header: first.done === true ? null : toObject(first.value), lines };
}

/** The events of a file, in its order. @throws ArchiveDamagedError by line, also when the last line is missing. */
export async function* readEvents({ header, lines }: OpenedFile): AsyncGenerator<ArchivedEvent> {
  if (header?.["penstock"] !== "events") throw new ArchiveDamagedError("line 1: is no header of a file of events");
  if (header["version"] !== 1) {
    throw new ArchiveDamagedError(
      `line 1: the format has version ${String(header["version"])}, and this Penstock reads version 1`,
    );
  }
  let events = 0;
  for await (const text of lines) {
    if (text === "") continue;
    const line = toObject(text);
    if (line?.["end"] === true) {
      if (line["events"] === events) return;
      throw new ArchiveDamagedError(`the last line counts ${String(line["events"])} events, and there are ${events}`);
    }
    let event: ArchivedEvent;
    try {
      event = fromLine(line);
    } catch (error) {
      throw new ArchiveDamagedError(`line ${events + 2}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    yield event;
    events++;
  }
  throw new ArchiveDamagedError(`it was cut off after ${events} events: the last line is missing`);
}

function toObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** The bytes as they were before gzip, where they were compressed. */
export async function* decompress(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = chunks[Symbol.asyncIterator]();
  const first = await source.next();
  if (first.done) return;
  const all = (async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => source };
  })();
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) return yield* all;
  const gunzip = createGunzip();
  // Its errors are those of the loop below.
  pipeline(Readable.from(all), gunzip, () => undefined);
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    if (!String((error as { code?: unknown }).code).startsWith("Z_")) throw error;
    throw new ArchiveDamagedError(`it cannot be decompressed: ${(error as Error).message}`, { cause: error });
  }
}

/** Lines end with a line feed, and with nothing else: readline takes other characters of a body for ends, too. */
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      begun.push(chunk.subarray(from, end));
      yield Buffer.concat(begun).toString();
      begun = [];
      from = end + 1;
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
  if (begun.length > 0) yield Buffer.concat(begun).toString();
}
