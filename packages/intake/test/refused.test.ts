import { mkdtemp, readdir, rename, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRefusedImporter, createRefusedWriter, type Intake, type RefusedImporter } from "@penstock/intake";
import type { Store } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { eventually } from "@penstock/testing";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { intakeOn, openMigratedStore, record, recordedRows, verified } from "./intake-under-test.ts";

const log = createLogger({ service: "refused-test", level: "silent" });
const CREATED_AT = "2026-06-01T10:00:00.000Z";
let store: Store;

beforeAll(async () => {
  store = await openMigratedStore();
});
beforeEach(async () => {
  await store.pool.query("TRUNCATE penstock.batches, penstock.pending, penstock.event_keys, penstock.events");
});
afterAll(() => store.close());

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-refused-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** A file as an ingest leaves it that was killed. */
async function leave(folder: string, ids: readonly string[]): Promise<void> {
  const writer = createRefusedWriter({ folder, maxBytes: null, log });
  await Promise.all(ids.map((id) => writer.keep(verified({ id, createdAt: CREATED_AT }))));
  await writer.release();
}

/** Starts what an ingest does. Its Postgres is away for as long as `isAway` says so. */
function importInto(folder: string, intake: Pick<Intake, "accept">, isAway = () => false): RefusedImporter {
  const writer = createRefusedWriter({ folder, maxBytes: null, log });
  const ping = () => (isAway() ? Promise.reject(new Error("away")) : store.ping());
  const importer = createRefusedImporter({ folder, intake, writer, ping, log, everyMs: 20 });
  onTestFinished(() => importer.close());
  return importer;
}

const untilEmpty = (folder: string) => eventually(async () => expect(await readdir(folder)).toEqual([]));
const idsOf = async (): Promise<string[]> => (await recordedRows(store)).map(({ event_id }) => event_id ?? "");

test("files are imported in the order in which the requests came, whichever process has left them, and then deleted", async () => {
  const folder = await newFolder();
  await leave(folder, ["evt_1", "evt_2"]);
  await leave(
    folder,
    Array.from({ length: 250 }, (_, at) => `evt_more_${at}`),
  );
  const { intake } = intakeOn(store);
  importInto(folder, intake);
  await untilEmpty(folder);
  const { duplicates } = await record(store);
  expect(duplicates).toBe(0);
  expect(await idsOf()).toEqual(["evt_1", "evt_2", ...Array.from({ length: 250 }, (_, at) => `evt_more_${at}`)]);
});

test("when a request came is kept with its event", async () => {
  const folder = await newFolder();
  await leave(folder, ["evt_1"]);
  importInto(folder, intakeOn(store).intake);
  await untilEmpty(folder);
  const { rows } = await store.pool.query<{ arrivals: string }>("SELECT arrivals::text FROM penstock.batches");
  expect(rows[0]!.arrivals).toMatch(/penstock-refused-at.*20\d\d-/);
});

test("two processes share a folder: each file is imported, and no event takes effect twice", async () => {
  const folder = await newFolder();
  const ids = Array.from({ length: 40 }, (_, at) => `evt_${at}`);
  for (const id of ids) await leave(folder, [id]);
  importInto(folder, intakeOn(store).intake);
  importInto(folder, intakeOn(store).intake);
  await untilEmpty(folder);
  await record(store);
  expect((await idsOf()).toSorted()).toEqual(ids.toSorted());
});

test("an import that Postgres interrupts goes on where it was", async () => {
  const folder = await newFolder();
  const ids = Array.from({ length: 250 }, (_, at) => `evt_${String(at).padStart(3, "0")}`);
  await leave(folder, ids);
  const { intake, commits } = intakeOn(store);
  let left = 150;
  let away = false;
  const interrupted: Pick<Intake, "accept"> = {
    accept: (event) => {
      away ||= --left < 0;
      return away ? Promise.reject(new Error("away")) : intake.accept(event);
    },
  };
  importInto(folder, interrupted, () => away);
  await eventually(() => expect(away).toBe(true));
  expect(await readdir(folder)).toHaveLength(1);
  left = Infinity;
  away = false;
  await untilEmpty(folder);
  const { duplicates } = await record(store);
  expect(await idsOf()).toEqual(ids);
  // The first hundred were committed and are not sent again; of the next, half had been.
  expect(duplicates).toBe(50);
  expect(commits.reduce((sum, events) => sum + events, 0)).toBe(300);
});

test("a file that a process died over is left alone for a minute, then imported; what was committed before is a copy", async () => {
  const folder = await newFolder();
  await leave(folder, ["evt_1", "evt_2"]);
  const { intake } = intakeOn(store);
  await intake.accept(verified({ id: "evt_1", createdAt: CREATED_AT }));
  const [name = ""] = await readdir(folder);
  const taken = join(folder, name.replace(".ndjson", ".0123abcd.importing.ndjson"));
  await rename(join(folder, name), taken);
  importInto(folder, intake);
  await leave(folder, ["evt_3"]);
  await eventually(async () => expect(await readdir(folder)).toEqual([taken.slice(folder.length + 1)]));
  const twoMinutesAgo = new Date(Date.now() - 120_000);
  await utimes(taken, twoMinutesAgo, twoMinutesAgo);
  await untilEmpty(folder);
  await record(store);
  expect((await idsOf()).toSorted()).toEqual(["evt_1", "evt_2", "evt_3"]);
});

test("a file that cannot be imported waits, and the others do not wait for it", async () => {
  const folder = await newFolder();
  await leave(folder, ["evt_refused"]);
  const [first = ""] = await readdir(folder);
  await leave(folder, ["evt_1"]);
  const { intake } = intakeOn(store);
  let isRefused = true;
  const refusing: Pick<Intake, "accept"> = {
    accept: (event) =>
      isRefused && event.identity.id === "evt_refused"
        ? Promise.reject(new Error("Postgres refuses it"))
        : intake.accept(event),
  };
  importInto(folder, refusing);
  const time = first.split("-")[1] ?? "";
  await eventually(async () => expect((await readdir(folder)).every((name) => name.includes(time))).toBe(true));
  isRefused = false;
  await untilEmpty(folder);
  await record(store);
  expect((await idsOf()).toSorted()).toEqual(["evt_1", "evt_refused"]);
});

test("a stop gives the file back, and another process begins with it at once", async () => {
  const folder = await newFolder();
  await leave(folder, ["evt_1"]);
  let away = false;
  const fail = (): Promise<never> => {
    away = true;
    return Promise.reject(new Error("away"));
  };
  const hang = importInto(folder, { accept: fail }, () => away);
  await eventually(async () => expect((await readdir(folder))[0]).toContain("importing"));
  await hang.close();
  importInto(folder, intakeOn(store).intake);
  await untilEmpty(folder);
  await record(store);
  expect(await idsOf()).toEqual(["evt_1"]);
});
