import { execFileSync } from "node:child_process";
import { appendFile, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "@penstock/telemetry";
import { expect, onTestFinished, test } from "vitest";
import type { VerifiedEvent } from "../new-event.ts";
import { readRefusedFile } from "./read-refused.ts";
import { fromRefusedLine, REFUSED_FILE_HEADER, toRefusedLine } from "./refused-line.ts";
import { createRefusedWriter, type RefusedWriter } from "./refused-writer.ts";

function refusedEvent(id: string | null, body = "{}"): VerifiedEvent {
  return {
    source: "shop-eu",
    identity: {
      id,
      type: "shop.order.paid",
      createdAt: new Date("2026-01-02T03:04:05.678Z"),
      timeUnread: false,
      subjects: ["ord_1"],
      problem: null,
    },
    body: Buffer.from(body, "latin1"),
    bodyVaries: false,
    traceparent: null,
    arrival: { names: ["user-agent", "x-topic"], values: ["shop/1", undefined], secret: "abcd", signatureAgeMs: 12 },
  };
}

async function writerOn(maxBytes: number | null = null) {
  const folder = await mkdtemp(join(tmpdir(), "penstock-refused-"));
  const lines: string[] = [];
  const log = createLogger({ service: "test", level: "warn", destination: { write: (line) => lines.push(line) } });
  const writer = createRefusedWriter({ folder: join(folder, "kept"), maxBytes, log });
  onTestFinished(async () => {
    await writer.release();
    await rm(folder, { recursive: true });
  });
  return { writer, folder: join(folder, "kept"), logged: () => lines.join("") };
}

async function filesIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).toSorted().map((name) => join(folder, name));
}

async function idsIn(folder: string): Promise<(string | null)[]> {
  const ids: (string | null)[] = [];
  for (const file of await filesIn(folder)) {
    for await (const line of readRefusedFile(file)) ids.push(line.ok ? line.refused.event.identity.id : line.reason);
  }
  return ids;
}

/** How large a file of this process may be, in bytes. */
function limit(bytes: string): void {
  execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:`]);
}

const keepAll = (writer: RefusedWriter, ids: readonly string[]) =>
  Promise.all(ids.map((id) => writer.keep(refusedEvent(id))));

test("a line gives back what was verified, whatever bytes and characters are in it, and when it came", () => {
  const refusedAt = new Date("2026-02-03T04:05:06.007Z");
  const every = Buffer.from(Array.from({ length: 256 }, (_, at) => at)).toString("latin1");
  for (const id of ["evt_1", "a\u2028b\nc\0\u{1F600}", "\uD800", null]) {
    const event = refusedEvent(id, every);
    const line = toRefusedLine({ event, refusedAt });
    expect(line).not.toContain("\n");
    const { arrival, ...rest } = event;
    expect(fromRefusedLine(line)).toEqual({
      refusedAt,
      event: {
        ...rest,
        arrival: {
          ...arrival,
          names: ["user-agent", "x-topic", "penstock-refused-at"],
          values: ["shop/1", undefined, refusedAt.toISOString()],
        },
      },
    });
    expect(fromRefusedLine(line.replace("ord_1", "ord_2"))).toBeNull();
    expect(fromRefusedLine(line.slice(0, -1))).toBeNull();
  }
});

test("what is refused together is on disk, in order, in one file that its owner alone may read", async () => {
  const { writer, folder } = await writerOn();
  const ids = Array.from({ length: 300 }, (_, at) => `evt_${at}`);
  await keepAll(writer, ids);
  const files = await filesIn(folder);
  expect(files).toHaveLength(1);
  expect((await stat(files[0]!)).mode & 0o777).toBe(0o600);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await readFile(files[0]!, "utf8")).split("\n")[0]).toBe(REFUSED_FILE_HEADER);
  expect(await idsIn(folder)).toEqual(ids);
});

test("what its provider sends again stands in the file once; another body under the same id stands there, too", async () => {
  const { writer, folder } = await writerOn();
  await keepAll(writer, ["evt_1", "evt_1", "evt_2"]);
  await keepAll(writer, ["evt_1"]);
  await writer.keep(refusedEvent("evt_1", "another body"));
  await writer.keep(refusedEvent(null));
  expect(await idsIn(folder)).toEqual(["evt_1", "evt_2", "evt_1", null]);
});

test("a torn tail and a damaged line are told apart, and cost no other line", async () => {
  const { writer, folder } = await writerOn();
  await keepAll(writer, ["evt_1", "evt_2", "evt_3"]);
  const [file = ""] = await filesIn(folder);
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace('"id":"evt_2"', '"id":"evt_X"'));
  await appendFile(file, text.split("\n")[1]!.slice(0, 100));
  expect(await idsIn(folder)).toEqual(["evt_1", "damaged", "evt_3", "torn"]);
});

test("a writer whose file another process takes goes on in a new one, and loses nothing", async () => {
  const { writer, folder } = await writerOn();
  await keepAll(writer, ["evt_1"]);
  const [file = ""] = await filesIn(folder);
  await rename(file, join(folder, "taken"));
  expect(await idsIn(folder)).toEqual(["evt_1"]);
  await rm(join(folder, "taken"));
  await keepAll(writer, ["evt_2", "evt_3"]);
  expect(await idsIn(folder)).toEqual(["evt_2", "evt_3"]);
});

test("at its bound nothing more is kept, and one line says so and what to change", async () => {
  const { writer, folder, logged } = await writerOn(2_000);
  const ids = Array.from({ length: 50 }, (_, at) => `evt_${at}`);
  await expect(writer.check()).resolves.toBeUndefined();
  for (const id of ids) await writer.keep(refusedEvent(id));
  const kept = await idsIn(folder);
  expect(kept.length).toBeGreaterThan(0);
  expect(kept).toEqual(ids.slice(0, kept.length));
  const bytes = (await stat((await filesIn(folder))[0]!)).size;
  expect(bytes).toBeLessThanOrEqual(2_000);
  expect(logged().match(/are not kept/g)).toHaveLength(1);
  expect(logged()).toContain("2000 bytes that INTAKE_REFUSED_BYTES allows");
  // There is room again once files have gone.
  await writer.release();
  await rm((await filesIn(folder))[0]!);
  await writer.keep(refusedEvent("evt_after"));
  expect(await idsIn(folder)).toEqual(["evt_after"]);
});

test("a file is closed, and the next one begun, while requests are refused all the time", async () => {
  const { writer, folder } = await writerOn();
  let isOver = false;
  const kept: Promise<void>[] = [];
  const load = (async () => {
    for (let nth = 0; !isOver; nth++) {
      kept.push(writer.keep(refusedEvent(`evt_${nth}`)));
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (const id of ["evt_a", "evt_b"]) {
    await writer.keep(refusedEvent(id));
    await writer.release();
  }
  isOver = true;
  await load;
  await Promise.all(kept);
  expect((await filesIn(folder)).length).toBeGreaterThan(1);
  const found = await idsIn(folder);
  expect(found).toHaveLength(kept.length + 2);
  expect(new Set(found)).toEqual(new Set(["evt_a", "evt_b", ...kept.map((_, nth) => `evt_${nth}`)]));
});

test("a disk that is full when a file is begun has no file more afterwards", async () => {
  const { writer, folder, logged } = await writerOn();
  limit("3");
  onTestFinished(() => limit("unlimited"));
  for (const id of ["evt_1", "evt_2", "evt_3"]) await writer.keep(refusedEvent(id));
  limit("unlimited");
  expect(await filesIn(folder)).toEqual([]);
  expect(logged()).toMatch(/EFBIG|ENOSPC/);
  await writer.keep(refusedEvent("evt_4"));
  expect(await idsIn(folder)).toEqual(["evt_4"]);
});

test("a disk that takes no more leaves whole lines only, says so once, and is tried again", async () => {
  const { writer, folder, logged } = await writerOn();
  await keepAll(writer, ["evt_1"]);
  const [file = ""] = await filesIn(folder);
  // As a full disk does, the kernel takes a part of what is written, and then refuses.
  limit(String((await stat(file)).size + 100));
  onTestFinished(() => limit("unlimited"));
  const ids = Array.from({ length: 20 }, (_, at) => `evt_full_${at}`);
  await keepAll(writer, ids);
  await keepAll(writer, ["evt_full_again"]);
  limit("unlimited");
  expect(await idsIn(folder)).toEqual(["evt_1"]);
  expect(logged().match(/are not kept/g)).toHaveLength(1);
  expect(logged()).toMatch(/EFBIG|ENOSPC/);
  await keepAll(writer, ["evt_2"]);
  expect(await idsIn(folder)).toEqual(["evt_1", "evt_2"]);
});
