import { ENDPOINT_DEFAULTS } from "@penstock/schemas";
import {
  cancelReplay,
  changeDeliveries,
  createEndpoint,
  createReplay,
  deleteEndpoint,
  dismissQuarantined,
  listAudit,
  listDeliveries,
  pauseHandler,
  recordAudit,
  removeHandler,
  resealEndpointSecrets,
  resumeEndpoint,
  revealEndpointSecret,
  rotateEndpointSecret,
  type Store,
  updateEndpoint,
} from "@penstock/store";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newEvent, openMigrated, process } from "./open-test-store.ts";

let store: Store;
beforeEach(async () => {
  store = await openMigrated();
  const settings = { ...ENDPOINT_DEFAULTS, url: "https://example.com/hook" };
  await store.pool.query("INSERT INTO penstock.handlers (name, kind, types) VALUES ('h', 'effect', '{x}')");
  await process(store, [newEvent("evt_1"), newEvent("evt_2")]);
  await store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state)
     SELECT day, seq, 'h', 'dead' FROM penstock.events WHERE event_id = 'evt_1'`,
  );
  await store.pool.query(
    "INSERT INTO penstock.quarantine (day, seq, reason) SELECT day, seq, 'not-json' FROM penstock.events WHERE event_id = 'evt_2'",
  );
  await createEndpoint(store, { id: "ep_1", secret: "sealed", settings }, "setup");
  await createReplay(store, { id: "r1", request: {} }, "setup");
});
afterEach(() => store.close());

const settings = { ...ENDPOINT_DEFAULTS, url: "https://example.com/other" };
const inQuarantine = async () => {
  const { rows } = await store.pool.query<{ day: string; seq: number }>(
    "SELECT day::text, seq::int FROM penstock.quarantine",
  );
  return rows[0]!;
};

/** Every write by an operator that the store has, by the action that it is on record as. */
const WRITES: Readonly<Record<string, () => Promise<unknown>>> = {
  "deliveries.retry": async () => changeDeliveries(store, "retry", await listDeliveries(store), { actor: "ada" }),
  "deliveries.skip": async () => changeDeliveries(store, "skip", await listDeliveries(store), { actor: "ada" }),
  "deliveries.cancel": async () => {
    await store.pool.query("UPDATE penstock.deliveries SET state = 'pending', next_attempt_at = now()");
    return changeDeliveries(store, "cancel", await listDeliveries(store), { actor: "ada" });
  },
  "handlers.pause": () => pauseHandler(store, "h", true, "ada"),
  "handlers.resume": async () => {
    await store.pool.query("UPDATE penstock.handlers SET paused_at = now()");
    return pauseHandler(store, "h", false, "ada");
  },
  "handlers.remove": () => removeHandler(store, "h", "ada"),
  "endpoints.add": () => createEndpoint(store, { id: "ep_2", secret: "sealed", settings }, "ada"),
  "endpoints.update": () => updateEndpoint(store, "ep_1", settings, "ada"),
  "endpoints.rotate": () => rotateEndpointSecret(store, "ep_1", { secret: "next", overlapMs: 1_000 }, "ada"),
  "endpoints.reseal": () => resealEndpointSecrets(store, "ep_1", (sealed) => `${sealed} anew`, "ada"),
  "endpoints.secret": () => revealEndpointSecret(store, "ep_1", (sealed) => sealed, "ada"),
  "endpoints.pause": () => pauseHandler(store, "ep_1", true, "ada"),
  "endpoints.resume": () => resumeEndpoint(store, "ep_1", "ada"),
  "endpoints.delete": () => deleteEndpoint(store, "ep_1", "ada"),
  "replay.create": () => createReplay(store, { id: "r2", request: { handler: "h" } }, "ada"),
  "replay.cancel": () => cancelReplay(store, "r1", "ada"),
  "quarantine.dismiss": async () => dismissQuarantined(store, await inQuarantine(), "ada"),
};

describe.each(Object.entries(WRITES))("%s", (action, write) => {
  test("leaves one entry in the audit log", async () => {
    await write();
    expect(await listAudit(store, { actor: "ada" })).toEqual([expect.objectContaining({ actor: "ada", action })]);
  });

  test("that is rolled back when it commits leaves none", async () => {
    await store.pool.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON penstock.audit_log DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse()`);
    const before = await contents();
    await expect(write()).rejects.toThrow("refused");
    expect(await listAudit(store, { actor: "ada" })).toEqual([]);
    // What a case sets up before its write is no part of it.
    if (!["deliveries.cancel", "handlers.resume"].includes(action)) expect(await contents()).toEqual(before);
  });
});

/** All rows that operators' writes change. */
async function contents(): Promise<unknown[]> {
  const tables = ["handlers", "endpoints", "endpoint_changes", "deliveries", "attempts", "replays", "quarantine"];
  const all: unknown[] = [];
  for (const table of tables) all.push((await store.pool.query(`SELECT * FROM penstock.${table} ORDER BY 1`)).rows);
  return all;
}

describe("what changes nothing leaves no entry", () => {
  test.each<[string, () => Promise<unknown>]>([
    [
      "a delivery that cannot be changed",
      async () => changeDeliveries(store, "cancel", await listDeliveries(store), { actor: "ada" }),
    ],
    ["a handler that is not paused", () => pauseHandler(store, "h", false, "ada")],
    ["a handler that there is not", () => removeHandler(store, "nobody", "ada")],
    ["an endpoint that there is not", () => deleteEndpoint(store, "ep_9", "ada")],
    ["a replay that was created before", () => createReplay(store, { id: "r1", request: {} }, "ada")],
    [
      "a secret that could not be opened",
      () =>
        revealEndpointSecret(
          store,
          "ep_1",
          () => {
            throw new Error("lost");
          },
          "ada",
        ).catch(() => undefined),
    ],
  ])("%s", async (_, write) => {
    await write();
    expect(await listAudit(store, { actor: "ada" })).toEqual([]);
  });
});

test("entries are found by who, what and of what, and read page by page", async () => {
  await pauseHandler(store, "h", true, "ada");
  await pauseHandler(store, "ep_1", true, "bob");
  await updateEndpoint(store, "ep_1", settings, "bob");
  const actions = async (...args: Parameters<typeof listAudit> extends [Store, ...infer Rest] ? Rest : never) =>
    (await listAudit(store, ...args)).map(({ action }) => action);
  expect(await actions({ actor: "bob" })).toEqual(["endpoints.update", "endpoints.pause"]);
  expect(await actions({ action: "endpoints" })).toEqual(["endpoints.update", "endpoints.pause", "endpoints.add"]);
  expect(await actions({ action: "endpoints.pause" })).toEqual(["endpoints.pause"]);
  expect(await actions({ target: "h" })).toEqual(["handlers.pause"]);
  expect(await actions({ since: new Date("2020-01-01") })).toHaveLength(5);
  expect(await actions({ until: new Date("2020-01-01") })).toEqual([]);
  const [first] = await listAudit(store, {}, { limit: 1 });
  expect(await actions({}, { before: first!.id, limit: 2 })).toEqual(["endpoints.pause", "handlers.pause"]);
});

test("an actor and a detail that Postgres cannot keep as text do not keep an operator from working", async () => {
  await recordAudit(store.pool, { actor: "a\0da", action: "a.b", target: "t\0", detail: { text: "\0\ud800" } });
  expect((await listAudit(store, { action: "a.b" }))[0]).toMatchObject({ actor: "a\ufffdda", target: "t\ufffd" });
});

test("a secret is in no entry", async () => {
  await createEndpoint(store, { id: "ep_2", secret: "whsec-never-told", settings }, "ada");
  await rotateEndpointSecret(store, "ep_2", { secret: "whsec-never-told", overlapMs: 0 }, "ada");
  expect(JSON.stringify(await listAudit(store))).not.toContain("never-told");
});
