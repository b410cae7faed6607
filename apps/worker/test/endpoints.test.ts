import { generateMasterKey, generateSecret, parseMasterKeys } from "@penstock/dispatch";
import { ENDPOINT_DEFAULTS, type EndpointSettings } from "@penstock/schemas";
import { makeEvent } from "@penstock/schemas/fixtures";
import { createEndpoint, listEndpoints } from "@penstock/store";
import { accept, addHistory, eventually, openSink, type Sink } from "@penstock/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createWorkplace, PATIENCE_MS, SOON, type Workplace } from "./worker-under-test.ts";
import plugged from "./trial/penstock.config.ts";

const configPath = new URL("./trial/penstock.config.ts", import.meta.url).pathname;
const soon = { timeoutMs: PATIENCE_MS, intervalMs: 100 };
const masterKey = generateMasterKey();

let workplace: Workplace;
let sink: Sink;
beforeEach(async () => {
  workplace = await createWorkplace({ kind: "redis", template: "endpoints", plugged, configPath });
  sink = await openSink();
});
afterEach(async () => {
  await workplace.close();
  await sink.close();
});

const start = () => workplace.start({ ...SOON, PENSTOCK_MASTER_KEY: masterKey, OUTBOUND_ALLOW: "127.0.0.0/8" });

async function addEndpoint(id: string, settings: Partial<EndpointSettings>): Promise<void> {
  const secret = parseMasterKeys(masterKey).seal(generateSecret(), id);
  const url = `${sink.url}/${id}`;
  await createEndpoint(workplace.store, { id, secret, settings: { ...ENDPOINT_DEFAULTS, url, ...settings } }, "test");
}

const endpointOf = ({ path }: Sink["received"][number]): string => path.split("/").at(-1) ?? "";
const eventOf = ({ body }: Sink["received"][number]) =>
  JSON.parse(body.toString()) as { id: string; data: { contactId: string; body: string } };
const ofEndpoints = async (): Promise<string[]> => (await workplace.states()).filter((line) => line.startsWith("ep_"));

test("whatever the receivers do and whoever is killed, each gets each event at least once under one webhook-id, lanes in order, and nothing is left", async () => {
  const scheduleMs = Array.from({ length: 30 }, () => 100);
  await addEndpoint("ep_plain", { concurrency: 16, scheduleMs });
  await addEndpoint("ep_lanes", { concurrency: 8, scheduleMs, lane: "data.contactId" });
  const tries = new Map<string, number>();
  sink.answer = (response, received) => {
    const key = `${endpointOf(received)} ${eventOf(received).id}`;
    const nth = (tries.get(key) ?? 0) + 1;
    tries.set(key, nth);
    const place = Number(eventOf(received).data.body);
    if (nth === 1 && place % 11 === 3) response.writeHead(500).end();
    else if (nth === 1 && place % 11 === 6) response.socket?.resetAndDestroy();
    else if (nth === 1 && place === 50)
      return; // says nothing for ever
    else setTimeout(() => response.writeHead(204).end(), place % 7 === 0 ? 300 : 5);
  };
  const orders = Array.from({ length: 300 }, (_, place) => ({
    createdAt: new Date(Date.UTC(2026, 0, 1) + place).toISOString(),
    data: { contactId: `cnt_${place % 12}`, body: String(place) },
  }));
  const ids = (
    await Promise.all([0, 1, 2].map((nth) => workplace.add(orders.slice(nth * 100, nth * 100 + 100))))
  ).flat();
  // Without a master key a worker leaves endpoints to others: all is known before the first delivery, so the order is, too.
  const recorder = await workplace.start(SOON);
  await eventually(
    async () => expect(await ofEndpoints()).toEqual(["ep_lanes pending 300", "ep_plain pending 300"]),
    soon,
  );
  recorder.kill();
  await recorder.exited;
  expect(sink.received).toEqual([]);

  for (const until of [60, 150, 300]) {
    const worker = await start();
    await eventually(() => expect(sink.received.length).toBeGreaterThan(until), soon);
    worker.kill("SIGKILL");
    await worker.exited;
    // The leases of what was under way would run out in forty seconds, and an endpoint would be left alone for ten.
    await workplace.store.pool.query("UPDATE penstock.deliveries SET lease_until = now() WHERE state = 'running'");
    await workplace.store.pool.query(
      "UPDATE penstock.endpoints SET parked_until = now() WHERE parked_until IS NOT NULL",
    );
  }
  await start();
  await eventually(async () => {
    await workplace.store.pool.query(
      "UPDATE penstock.endpoints SET parked_until = now() WHERE parked_until IS NOT NULL",
    );
    expect(await ofEndpoints()).toEqual(["ep_lanes succeeded 300", "ep_plain succeeded 300"]);
  }, soon);

  const ofEach = Map.groupBy(sink.received, (one) => `${endpointOf(one)} ${eventOf(one).id}`);
  expect([...ofEach.keys()].toSorted()).toEqual(
    ["ep_plain", "ep_lanes"].flatMap((endpoint) => ids.map((id) => `${endpoint} ${id}`)).toSorted(),
  );
  for (const requests of ofEach.values()) {
    expect(new Set(requests.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  }
  const lanes = Map.groupBy(
    sink.received.filter((one) => endpointOf(one) === "ep_lanes"),
    (one) => eventOf(one).data.contactId,
  );
  for (const requests of lanes.values()) {
    const places = requests.map((one) => Number(eventOf(one).data.body));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  }
  const { rows } = await workplace.store.pool.query("SELECT FROM penstock.pending");
  expect(rows).toEqual([]);
}, 600_000);

test("one that is dead with a backlog takes no turn from the others, and what comes goes out at once", async () => {
  await addEndpoint("ep_dead", { concurrency: 50 });
  await addEndpoint("ep_well", {});
  sink.answer = (response, received, nth) => {
    if (endpointOf(received) === "ep_well") accept(response, received, nth);
  };
  const like = makeEvent("message.received", { id: "evt_backlog" });
  await addHistory(workplace.store.pool, { events: 100_000, like });
  await workplace.store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state, next_attempt_at)
     SELECT day, seq, 'ep_dead', 'pending', now() FROM penstock.events`,
  );
  await start();
  // Ten seconds of silence from each of what was begun, and it is left alone.
  await eventually(async () => {
    const [dead] = await listEndpoints(workplace.store, { id: "ep_dead" });
    expect(dead).toMatchObject({ status: "failing", nextTryAt: expect.any(String) as string });
  }, soon);
  const before = performance.now();
  const ids = await workplace.add(["a", "b", "c"]);
  const wellOnes = () => sink.received.filter((one) => endpointOf(one) === "ep_well").map((one) => eventOf(one).id);
  await eventually(() => expect(wellOnes().toSorted()).toEqual(ids.toSorted()), soon);
  expect(performance.now() - before).toBeLessThan(5_000);
  expect(sink.received.length - wellOnes().length).toBeLessThanOrEqual(100);
}, 300_000);

test("an endpoint that asks for it by name is told of each issue that is new, and one that gets all types is not", async () => {
  await addEndpoint("ep_ops", { types: ["penstock.issue.opened"] });
  await addEndpoint("ep_all", {});
  await start();
  await workplace.store.pool.query(`
    WITH came AS (
      INSERT INTO penstock.events (seq, day, received_at, source, event_id, type, subjects, body_at, body_bytes)
      VALUES (nextval('penstock.batch_number') * 1024, (now() AT TIME ZONE 'UTC')::date, now(), 'buzzbip', 'evt_1', 'x', '{}', 0, 0)
      RETURNING day, seq
    )
    INSERT INTO penstock.deliveries (day, seq, subscriber, state, attempts)
    SELECT day, seq, 'inbox', 'dead', 1 FROM came`);
  await eventually(() => expect(sink.received.map(endpointOf)).toEqual(["ep_ops"]), soon);
  const [told] = sink.received.map(({ body }) => JSON.parse(body.toString()) as object);
  expect(told).toMatchObject({
    type: "penstock.issue.opened",
    data: { kind: "dead-letter", subject: "inbox", title: "it failed", count: 1, exampleEventId: "evt_1" },
  });
  await eventually(async () => expect(await ofEndpoints()).toEqual(["ep_ops succeeded 1"]), soon);
});
