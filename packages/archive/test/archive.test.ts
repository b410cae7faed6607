import { hash, randomBytes } from "node:crypto";
import type { NewEvent } from "@penstock/intake";
import {
  type ArchivedEvent,
  findArchive,
  listUnarchived,
  readDay,
  type RetentionPolicy,
  restoreEvents,
  runRetention,
  type Store,
  createArchiveEraser,
  createErasure,
  showEvents,
  takeErasure,
} from "@penstock/store";
import { OWN_SOURCE, SUBJECT_ERASED } from "@penstock/schemas";
import { eventually, moveToDay } from "@penstock/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  archiveDay,
  type ArchiveStorage,
  folderOf,
  listArchivedDays,
  manifestOf,
  openStorage,
  readArchived,
  readManifest,
  rewriteDay,
  verifyDay,
} from "../src/index.ts";
import { readWhole } from "../src/storage.ts";
import { newEvent, openMigrated, process } from "./open-store.ts";
import { STORAGES } from "./storages.ts";

const DAY = "2020-01-10";
const TODAY = "2020-03-01";
const NOW = new Date("2020-01-11T00:20:00Z");
const BY = { worker: "test" };

/** Bodies as senders have them: text of all kinds, what is no text, and a large one. */
const BODIES: readonly (readonly [id: string, body: Buffer])[] = [
  ["evt_plain", Buffer.from('{"id":"evt_plain","data":{"a":1}}')],
  ["evt_spaces", Buffer.from('{ "b" : 1.0,\r\n\t"big":12345678901234567890 }\n')],
  ["evt_unicode", Buffer.from('\u{feff}{"text":"Grüße 👋🏽 \u2028\u2029 \u0000 ﬀ ́e"}')],
  ["evt_latin1", Buffer.from([0x7b, 0xe9, 0xff, 0xfe, 0x00, 0x80, 0x7d])],
  ["evt_cut", Buffer.from("👋").subarray(0, 3)],
  ["evt_empty", Buffer.alloc(0)],
  ["evt_large", randomBytes(3 * 1024 * 1024)],
];

let store: Store;
let storage: ArchiveStorage;
let policy: RetentionPolicy;
beforeEach(async () => {
  store = await openMigrated();
});
afterEach(() => store.close());

async function receive(events: readonly NewEvent[], day = DAY): Promise<void> {
  await process(store, events);
  await moveToDay(
    store.pool,
    day,
    events.map(({ eventId }) => eventId),
  );
}

async function collect(events: AsyncIterable<ArchivedEvent>): Promise<ArchivedEvent[]> {
  const all: ArchivedEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** A large body is compared by its hash: the difference of two would take long to tell. */
const plain = (events: readonly ArchivedEvent[]): object[] =>
  events.map(({ body, ...event }) => ({
    ...event,
    body: body.length > 1_000 ? hash("sha256", body) : body.toString("hex"),
  }));

const stored = (): Promise<ArchivedEvent[]> => collect(readDay(store.pool, DAY));
const drop = (today = TODAY) => runRetention(store, policy, { by: BY, today });
const archive = (options: { signal?: AbortSignal; partBytes?: number } = {}) =>
  archiveDay(store, storage, DAY, { now: NOW, ...options });
/** The lock of a run of retention goes with its connection, which takes a moment. */
const restore = (events: AsyncIterable<ArchivedEvent>) =>
  eventually(async () => {
    const restored = await restoreEvents(store, { day: DAY, url: storage.url, actor: "test" }, events, {});
    expect(restored).not.toBe("retention-runs");
    return restored;
  });

async function archived(): Promise<ArchivedEvent[]> {
  const manifest = await readManifest(storage, DAY);
  if (manifest === null) throw new Error("the day is not archived");
  return collect(readArchived(storage, manifest));
}

const events = (): NewEvent[] => [
  ...BODIES.map(([id, body]) => newEvent(id, { body })),
  newEvent("evt_shown", { key: "0123456789abcdef0123456789abcdef", bodyVaries: true, source: "shop-eu" }),
  newEvent("evt_arrived", {
    arrival: { names: ["user-agent", "x-id"], values: ["Grüße", undefined], secret: "abcd", signatureAgeMs: 12 },
  }),
  newEvent("evt_broken", { problem: "not-json", type: null, createdAt: null, subjects: [] }),
];

describe.each(Object.entries(STORAGES))("an archive in %s", (_, open) => {
  beforeEach(async () => {
    const config = await open();
    storage = await openStorage(config);
    policy = { days: 30, bytes: null, dedupeWindowDays: 400, sources: {}, archive: config };
  });
  afterEach(() => storage.close());

  test("a day comes back as it was, byte for byte, after it has gone", async () => {
    await receive(events());
    // A copy of an event, and another body under a known id.
    await receive([
      newEvent("evt_plain", { body: BODIES[0]?.[1] ?? Buffer.alloc(0) }),
      newEvent("evt_empty", { body: Buffer.from("other") }),
    ]);
    await store.pool.query(
      "INSERT INTO penstock.quarantine (day, seq, reason, detail) SELECT day, seq, 'not-json', 'at 0' FROM penstock.events WHERE problem IS NOT NULL",
    );
    const before = await stored();
    const keys = await store.pool.query("SELECT * FROM penstock.event_keys ORDER BY key");
    expect(before.map(({ id, body }) => [id, body]).slice(0, BODIES.length)).toEqual(BODIES);
    expect(before.filter(({ problem }) => problem === "id-conflict")).toHaveLength(1);

    expect((await archive())?.problems).toEqual([]);
    expect(plain(await archived())).toEqual(plain(before));
    expect((await drop())?.days).toMatchObject([{ day: DAY, outcome: "dropped", went: before.length }]);
    expect(await store.pool.query("SELECT FROM penstock.events")).toMatchObject({ rowCount: 0 });
    await store.pool.query("DELETE FROM penstock.event_keys WHERE seq % 2 = 0");

    const manifest = await readManifest(storage, DAY);
    if (manifest === null) throw new Error("the day is not archived");
    expect(await restore(readArchived(storage, manifest))).toEqual({ restored: before.length, there: 0 });
    expect(plain(await stored())).toEqual(plain(before));
    expect((await store.pool.query("SELECT * FROM penstock.event_keys ORDER BY key")).rows).toEqual(keys.rows);
    // Again, as after a crash.
    expect(await restore(readArchived(storage, manifest))).toEqual({ restored: 0, there: before.length });
    // It stays for a week, and goes then.
    expect((await drop())?.plan.days).toMatchObject([{ day: DAY, action: "keep", holds: [{ reason: "restored" }] }]);
    await store.pool.query("UPDATE penstock.archives SET restored_at = restored_at - interval '8 days'");
    expect((await drop())?.days).toMatchObject([{ outcome: "dropped" }]);
  });

  test("what went of a day of which some is kept comes back into the same batches", async () => {
    const own = events().map((event, nth) => ({ ...event, source: nth % 2 === 1 ? "shop-eu" : event.source }));
    await receive(own);
    const before = await stored();
    await archive();
    policy = { ...policy, sources: { "shop-eu": { days: 365, types: {} } } };
    expect((await drop())?.days).toMatchObject([{ outcome: "thinned" }]);
    expect((await stored()).length).toBeLessThan(before.length);
    const result = await restore(
      (async function* () {
        for (const event of await archived()) if (event.id !== "evt_unicode") yield event;
      })(),
    );
    expect(result).toMatchObject({ there: expect.toSatisfy((there: number) => there > 0) as number });
    expect(plain(await stored())).toEqual(plain(before.filter(({ id }) => id !== "evt_unicode")));
    await restore(
      (async function* () {
        yield* await archived();
      })(),
    );
    expect(plain(await stored())).toEqual(plain(before));
  });

  test("a day without an archive that was read back does not go", async () => {
    await receive(events());
    const why = async () => (await drop())?.plan.days[0]?.holds.map(({ reason, of }) => `${reason}: ${of}`);
    expect(await why()).toEqual(["unarchived: it is not archived yet"]);
    await archive();
    await receive([newEvent("evt_late")]);
    expect(await why()).toEqual(["unarchived: it has events that its archive has not"]);
    await store.pool.query("UPDATE penstock.archives SET verified_at = NULL");
    expect(await why()).toEqual(["unarchived: its archive is not verified yet"]);
    expect((await stored()).length).toBe(events().length + 1);
    // It is archived anew, since all of it is here.
    await archive();
    expect((await drop())?.days).toMatchObject([{ outcome: "dropped" }]);
  });

  test("an archive that was damaged is told by its part, and keeps its day", async () => {
    await receive(events());
    await archive();
    const [part] = (await readManifest(storage, DAY))?.parts ?? [];
    const name = `${folderOf(DAY)}${part?.name}`;
    const bytes = (await readWhole(storage, name)) ?? Buffer.alloc(0);
    const damaged = Buffer.from(bytes);
    damaged[bytes.length >> 1] = (damaged[bytes.length >> 1] ?? 0) ^ 1;
    const told: string[] = [];
    for (const wrong of [damaged, bytes.subarray(0, -10), null]) {
      if (wrong === null) await storage.delete(name);
      else await storage.put(name, wrong);
      const { problems } = await verifyDay(storage, DAY);
      told.push(
        ...problems.map((problem) => problem.replace(part?.name ?? "", "PART").replace(/:.*|[0-9a-f]{64}.*/, "")),
      );
    }
    expect(told).toEqual([
      expect.stringMatching(/^PART (is damaged|has the SHA-256)/),
      "PART is damaged",
      "PART is missing",
    ]);
    await store.pool.query("UPDATE penstock.archives SET verified_at = NULL, problem = 'PART is missing'");
    expect((await drop())?.plan.days).toMatchObject([
      {
        action: "keep",
        holds: [{ reason: "unarchived", of: "its archive is not as it was written: PART is missing" }],
      },
    ]);
    expect(await listUnarchived(store, storage.url)).toEqual([DAY]);
    expect((await archive())?.problems).toEqual([]);
    expect(plain(await archived())).toEqual(plain(await stored()));
    await storage.put(manifestOf(DAY), Buffer.from("{"));
    expect((await verifyDay(storage, DAY)).problems).toEqual([`the manifest of ${DAY} is no JSON`]);
  });

  test("archiving goes on behind the last part after a crash, and nothing counts before the manifest", async () => {
    for (const [id, body] of BODIES) await receive([newEvent(id, { body })]);
    const before = await stored();
    const stop = new AbortController();
    stop.abort();
    expect(await archive({ partBytes: 1, signal: stop.signal })).toBeNull();
    expect(await archive({ partBytes: 1, signal: stop.signal })).toBeNull();
    await storage.put(`${folderOf(DAY)}part-00003-0123456789abcdef.ndjson.gz`, Buffer.from("cut o"));
    expect(await readManifest(storage, DAY)).toBeNull();
    expect(await listArchivedDays(storage)).toEqual([{ day: DAY, manifest: null, problem: null }]);
    expect((await drop())?.plan.days).toMatchObject([{ holds: [{ of: "it is not archived to the end yet" }] }]);
    const begun = (await findArchive(store.pool, DAY))?.parts ?? [];
    expect(begun).toHaveLength(2);
    expect((await archive({ partBytes: 1 }))?.problems).toEqual([]);
    const { parts = [] } = (await readManifest(storage, DAY)) ?? {};
    expect(parts.slice(0, 2)).toEqual(begun);
    expect(parts).toHaveLength(BODIES.length);
    expect(plain(await archived())).toEqual(plain(before));
    expect((await storage.list(folderOf(DAY))).map(({ name }) => name)).toEqual(
      [manifestOf(DAY), ...parts.map(({ name }) => `${folderOf(DAY)}${name}`)].toSorted(),
    );
  });

  test("another database takes over an archive that is there, once it was read back", async () => {
    await receive(events());
    await archive();
    await store.pool.query("DELETE FROM penstock.archives");
    expect(await listUnarchived(store, storage.url)).toEqual([DAY]);
    const { writtenAt } = (await readManifest(storage, DAY)) ?? {};
    expect((await archiveDay(store, storage, DAY, { now: new Date() }))?.problems).toEqual([]);
    expect((await readManifest(storage, DAY))?.writtenAt).toBe(writtenAt);
    expect(await listUnarchived(store, storage.url)).toEqual([]);
  });

  test("an archive of which not all is stored any more is neither replaced nor discarded, whatever becomes of its manifest", async () => {
    await receive(events());
    await archive();
    const before = await archived();
    const manifest = await readWhole(storage, manifestOf(DAY));
    await drop();
    await restore(
      (async function* () {
        yield* before.slice(0, 1);
      })(),
    );
    const keepsAll = async (): Promise<void> => {
      await storage.put(manifestOf(DAY), manifest ?? Buffer.alloc(0));
      expect(plain(await archived())).toEqual(plain(before));
    };

    await store.pool.query("UPDATE penstock.archives SET verified_at = NULL");
    const read = (name: string) => (name === manifestOf(DAY) ? Promise.reject(new Error("503")) : storage.read(name));
    await expect(archiveDay(store, { ...storage, read }, DAY, { now: NOW })).rejects.toThrow("503");
    await keepsAll();

    await storage.put(manifestOf(DAY), Buffer.from("{"));
    expect((await archive())?.problems).toEqual([expect.stringContaining("is no JSON")]);
    await keepsAll();

    await storage.delete(manifestOf(DAY));
    expect((await archive())?.problems).toEqual([expect.stringContaining("not all of the day is stored")]);
    await expect(rewriteDay(store, storage, DAY, () => null, { now: NOW })).rejects.toThrow(
      "is missing beside its parts",
    );
    await keepsAll();

    await storage.delete(manifestOf(DAY));
    await store.pool.query("UPDATE penstock.archives SET url = 'file:///elsewhere'");
    expect((await archive())?.problems).toEqual([
      expect.stringContaining("file:///elsewhere, of which 1 are still stored"),
    ]);
    await keepsAll();
  });

  test("an archived day is rewritten part by part, and is as it was until all of it is read back", async () => {
    for (const [id, body] of BODIES) await receive([newEvent(id, { body })]);
    await archive({ partBytes: 1 });
    const [before, was] = [await archived(), await readManifest(storage, DAY)];
    const erase = (event: ArchivedEvent): ArchivedEvent | null => {
      if (event.id === "evt_empty") return null;
      return event.id === "evt_plain" ? { ...event, body: Buffer.from("erased"), subjects: [] } : event;
    };
    expect(await rewriteDay(store, storage, DAY, erase, { now: NOW, dryRun: true })).toEqual({ changed: 2, parts: 2 });
    expect(await readManifest(storage, DAY)).toEqual(was);
    expect(await rewriteDay(store, storage, DAY, erase, { now: NOW })).toEqual({ changed: 2, parts: 2 });
    expect(plain(await archived())).toEqual(plain(before.flatMap((event) => erase(event) ?? [])));
    expect((await verifyDay(storage, DAY)).problems).toEqual([]);
    // What it replaced is nowhere, and what did not change was not written.
    const names = (await storage.list("")).map(({ name }) => name);
    expect(names.filter((name) => was?.parts.some((part) => name.endsWith(part.name)))).toHaveLength(BODIES.length - 2);
    expect(names).toHaveLength(BODIES.length);
    expect(await rewriteDay(store, storage, "2020-01-11", erase, { now: NOW })).toBeNull();
  });

  test("somebody is erased from a day that only the archive has, and is so when it is brought back", async () => {
    const arrival = { names: ["x-from"], values: ["cnt_ada"], secret: null, signatureAgeMs: null };
    await receive([
      newEvent("evt_ada", { subjects: ["cnt_ada"], body: Buffer.from('{"data":{"contactId":"cnt_ada"}}'), arrival }),
      newEvent("evt_bo", { subjects: ["cnt_bo"], arrival }),
    ]);
    const [, bo] = await stored();
    await archive();
    await drop();
    await createErasure(store, [{ kind: "subject", value: "cnt_ada" }], "test");
    const job = await takeErasure(store);
    if (job === null) throw new Error("there is no erasure");
    const eraser = await createArchiveEraser(store, job);
    const rewrite = () => rewriteDay(store, storage, DAY, (event) => eraser.map(event), { now: NOW });
    expect(await rewrite()).toEqual({ changed: 2, parts: 1 });
    await eraser.note(DAY);
    expect(await rewrite()).toEqual({ changed: 0, parts: 0 });
    const [ada, other] = await archived();
    expect(ada).toMatchObject({ id: "evt_ada", problem: "erased", subjects: [], arrival: null });
    expect(ada?.body.toString().trim()).toBe("");
    expect(other).toEqual({ ...bo, arrival: { ...bo?.arrival, headers: [{ name: "x-from", value: "[erased]" }] } });
    const manifest = await readManifest(storage, DAY);
    await store.pool.query("UPDATE penstock.erasures SET step = 'done', wanted = NULL");
    if (manifest !== null) await restore(readArchived(storage, manifest));
    expect(await showEvents(store, `seq:${ada?.seq}`)).toMatchObject([{ erased: { by: "test" }, subjects: [] }]);
  });
});

test("whom to erase is told by an event that no archive keeps, and nobody is brought back meanwhile", async () => {
  storage = await openStorage(await STORAGES["a folder"]());
  const telling = { source: OWN_SOURCE, type: SUBJECT_ERASED, body: Buffer.from('{"data":{"value":"+393331234567"}}') };
  await receive([newEvent("evt_ada", { subjects: ["cnt_ada"] }), newEvent("evt_own", telling)]);
  await archive();
  const [ada, own] = await archived();
  expect(own).toMatchObject({ id: "evt_own", problem: "erased" });
  expect(own?.body.toString().trim()).toBe("");
  const only = async function* () {
    if (ada) yield ada;
  };
  const back = () => restore(only());
  await createErasure(store, [{ kind: "subject", value: "cnt_ada" }], "test");
  expect(await back()).toBe("erasure-runs");
  await store.pool.query("UPDATE penstock.erasures SET step = 'done', wanted = NULL");
  await store.pool.query(`
    INSERT INTO penstock.erased_events (day, seq, erasure, key)
    SELECT day, seq, 1, gen_random_uuid() FROM penstock.events WHERE event_id = 'evt_ada'`);
  await store.pool.query("DELETE FROM penstock.events WHERE event_id = 'evt_ada'");
  expect(await back()).toEqual({ restored: 0, there: 1 });
});

test("a storage that is not there says what to do", async () => {
  const open = (url: string, endpoint: string | null = null) =>
    openStorage({ url, endpoint, region: "eu-central-1", pathStyle: null });
  await expect((await open("file:///nowhere/at-all")).list("")).rejects.toThrow(/make it or mount it/);
  const config = await STORAGES.S3();
  const { endpoint } = config;
  await expect((await open("s3://no-such-bucket", endpoint)).list("")).rejects.toThrow(
    /no bucket no-such-bucket. Make it/,
  );
  await expect((await open("s3://archive", "http://127.0.0.1:1")).list("")).rejects.toThrow(
    /s3:\/\/archive \(http:.*cannot be used/,
  );
});
