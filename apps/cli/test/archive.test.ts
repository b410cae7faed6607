import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createRefusedWriter } from "@penstock/intake";
import { buzzbip, requestOfBody } from "@penstock/sources";
import { createStore } from "@penstock/store";
import { wallClockMs } from "@penstock/schemas";
import { createLogger } from "@penstock/telemetry";
import { eventually, moveToDay, readDocBlocks } from "@penstock/testing";
import { expect, test } from "vitest";
import { createPenstock, parseLines } from "./penstock.ts";

const page = fileURLToPath(new URL("../../../docs/archive.md", import.meta.url));
/** Long over: its term is, too. */
const DAY = new Date(wallClockMs() - 40 * 86_400_000).toISOString().slice(0, 10);

test("docs/archive.md can be followed from top to bottom", { timeout: 300_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "penstock-archive-"));
  const penstock = await createPenstock();
  const show = async (id: string): Promise<Record<string, unknown> | undefined> =>
    parseLines((await penstock.call(["events", "show", id, "--json"])).stdout)[0];
  const said: string[] = [];
  let before: Record<string, unknown> | undefined;

  async function receive(): Promise<void> {
    await penstock.call(["send", "message.received", "--id", "evt_kept", "--data", '{"body":"Grüße 👋\\u2028"}']);
    const { stdout } = await penstock.call(["db", "url"]);
    const store = createStore({ connectionString: stdout[0] ?? "", applicationName: "test", maxConnections: 1 });
    await moveToDay(store.pool, DAY, ["evt_kept"]);
    for (const table of ["events", "batches"]) {
      await store.pool.query(
        `UPDATE penstock.${table} SET received_at = received_at - interval '40 days' WHERE day = $1`,
        [DAY],
      );
    }
    await store.close();
    before = await show("evt_kept");
  }

  try {
    for (const { language, about, text } of readDocBlocks(page)) {
      if (language !== "sh") continue;
      for (const line of text.trimEnd().split("\n")) {
        if (about === "start") {
          expect(line).toMatch(/^ARCHIVE_URL=file:\S+ npm start$/);
          await penstock.start({ ARCHIVE_URL: pathToFileURL(folder).href });
          await receive();
          const { stdout } = await penstock.call(["retention", "run", "--yes"]);
          expect(stdout.join("\n")).toMatch(
            new RegExp(`^No day has gone\\.\n\n${DAY} +stays +it is not archived yet$`, "m"),
          );
          continue;
        }
        const [, command = ""] = /^npm run penstock -- (.*)$/.exec(line) ?? [];
        const args = command
          .replace("--handler inbox", "--handler picky")
          .replaceAll(/2026-10-01(?!\.)/g, DAY)
          .split(" ")
          .map((word) => (word.endsWith(".ndjson.gz") ? join(penstock.home, word) : word));
        const { code, stdout, stderr } = await penstock.call(args);
        expect({ line, code, stderr: code === 0 ? [] : stderr }).toEqual({ line, code: 0, stderr: [] });
        said.push(...stdout);
        if (line.includes("retention run")) expect((await penstock.call(["events", "show", "evt_kept"])).code).toBe(1);
        if (line.includes("--from-archive")) {
          await eventually(async () => {
            const event = await show("evt_kept");
            expect(event).toMatchObject({
              seq: before?.["seq"],
              body: before?.["body"],
              receivedAt: before?.["receivedAt"],
            });
          });
        }
      }
    }
    const text = said.join("\n");
    expect(text).toMatch(new RegExp(`^${DAY} is archived and verified: 1 event, \\d+ B in 1 part$`, "m"));
    expect(text).toMatch(new RegExp(`^${DAY} +verified +1 +\\d+ B`, "m"));
    expect(text).toMatch(new RegExp(`^${DAY} is as it was written: 1 event`, "m"));
    expect(text).toContain("replay again created");
    for (const [day, why] of [
      [
        "2020-01-01",
        /^Day 2020-01-01 is not archived in file:\S+, so there is nothing to verify\. .*not to be archived/,
      ],
      [new Date(wallClockMs()).toISOString().slice(0, 10), /it is not over/],
    ] as const) {
      expect(await penstock.call(["archive", "verify", day])).toEqual({
        code: 1,
        stdout: [],
        stderr: [expect.stringMatching(why)],
      });
    }
    // A file of another install: events that are not known are taken in, and handled.
    const exported = await penstock.call(["export", "--where", "id:evt_kept"]);
    expect(exported.stdout).toHaveLength(3);
    const other = exported.stdout.map((line) => line.replaceAll("evt_kept", "evt_other"));
    const file = await penstock.file(`${other.join("\n")}\n`);
    const imported = ['{"events":1,"new":1,"known":0}'];
    expect(await penstock.call(["import", file, "--json"])).toMatchObject({ code: 0, stdout: imported });
    await eventually(async () => {
      const found = await show("evt_other");
      expect(found).toMatchObject({
        body: String(before?.["body"]).replaceAll("evt_kept", "evt_other"),
        deliveries: [{ subscriber: "picky", state: "succeeded" }],
      });
    });
    // Again: the same event, and another one that has its id.
    const [header = "", event = "", end = ""] = other;
    const conflicting = [header, event, event.replace("Grüße", "Saluti"), end.replace("1", "2")];
    const mixed = await penstock.file(`${conflicting.join("\n")}\n`);
    expect((await penstock.call(["import", mixed])).stdout).toEqual([
      expect.stringMatching(/^2 events: 1 new and taken in, 1 known already and left out\. See/),
    ]);
    await eventually(async () => {
      const { stdout } = await penstock.call(["quarantine", "list", "--json"]);
      expect(parseLines(stdout)).toMatchObject([{ id: "evt_other", quarantine: { reason: "id-conflict" } }]);
    });
    expect((await penstock.call(["import", mixed])).stdout).toEqual([expect.stringMatching(/^2 events: 0 new/)]);
    const refused = '{"penstock":"refused-requests","version":1}\nno request\n';
    for (const [content, code, told] of [
      [other.slice(0, 2).join("\n"), 1, /cannot be imported: it was cut off after 1 events/],
      ['{"some":"json"}\n', 1, /is no file of events: its first line/],
      [refused, 0, /^Line 2 cannot be read \(damaged\) and is left out/],
    ] as const) {
      const outcome = await penstock.call(["import", await penstock.file(content)]);
      expect({ code: outcome.code, told: outcome.stderr.join("\n") }).toEqual({
        code,
        told: expect.stringMatching(told) as string,
      });
    }
    // What an ingest kept in an outage.
    const kept = join(folder, "kept");
    const log = createLogger({ service: "archive-test", level: "silent" });
    const writer = createRefusedWriter({ folder: kept, maxBytes: null, log });
    const bytes = Buffer.from(String(before?.["body"]).replaceAll("evt_kept", "evt_refused"));
    const identity = buzzbip().identify(requestOfBody(bytes));
    await writer.keep({ source: "buzzbip", identity, body: bytes, traceparent: null });
    await writer.release();
    const [name = ""] = await readdir(kept);
    expect(await penstock.call(["import", join(kept, name), "--json"])).toMatchObject({ stdout: imported });
    await eventually(async () => expect(await show("evt_refused")).toMatchObject({ body: bytes.toString() }));
    const again = await penstock.call(["export", "--all", "--output", file]);
    expect(again).toMatchObject({ code: 1, stderr: [expect.stringContaining("is there already")] });
    // What is imported is known already.
    await eventually(async () => {
      const { stdout } = await penstock.call(["events", "list", "id:evt_kept", "--json"]);
      expect(parseLines(stdout)).toMatchObject([{ id: "evt_kept", status: "processed" }]);
    });
  } finally {
    await penstock.remove();
    await rm(folder, { recursive: true, force: true });
  }
});
