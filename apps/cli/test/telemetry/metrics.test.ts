import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { generateMasterKey, generateSecret, parseMasterKeys } from "@penstock/dispatch";
import { createRefusedWriter } from "@penstock/intake";
import { ENDPOINT_DEFAULTS } from "@penstock/schemas";
import { makeEvent } from "@penstock/schemas/fixtures";
import { buzzbip, requestOfBody } from "@penstock/sources";
import { createEndpoint } from "@penstock/store";
import { createLogger } from "@penstock/telemetry";
import { eventually, openSink } from "@penstock/testing";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { startSystem } from "./system.ts";

interface Documented {
  readonly otlp: string;
  readonly prometheus: string;
  readonly unit: string;
  readonly labels: readonly string[];
  readonly of: string;
}

/** A folder with what an ingest has left there in an outage. */
async function refusedFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-refused-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const writer = createRefusedWriter({ folder, maxBytes: null, log: createLogger({ service: "t", level: "silent" }) });
  const body = Buffer.from(JSON.stringify(makeEvent("contact.created")));
  const identity = buzzbip().identify(requestOfBody(body));
  await writer.keep({ source: "buzzbip", identity, body, traceparent: null });
  await writer.release();
  return folder;
}

/** The rows of the tables of docs/metrics.md. */
async function documented(): Promise<Documented[]> {
  const text = await readFile(new URL("../../../../docs/metrics.md", import.meta.url), "utf8");
  const rows = text.matchAll(/^\| `([^`]+)` +\| `([^`]+)` +\| `([^`]+)` +\| ([^|]*)\| (\w+) +\|/gm);
  return [...rows].map(([, otlp = "", prometheus = "", unit = "", labels = "", of = ""]) => ({
    otlp,
    prometheus,
    unit,
    labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label).toSorted(),
    of,
  }));
}

/** The metrics of a scrape with the labels of their samples. */
function labelsIn(text: string): Map<string, string[]> {
  const found = new Map(namesIn(text).map((name) => [name, new Set<string>()]));
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const labelsOfName = found.get(name) ?? found.get(name.replace(/_(?:bucket|sum|count)$/, ""));
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) if (label !== "le") labelsOfName?.add(label);
  }
  return new Map([...found].map(([name, labels]) => [name, [...labels].toSorted()]));
}

async function scrape(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

/** The value of the one sample with this name and these labels, whatever others it has. */
function valueOf(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const line = text
    .split("\n")
    .find((each) => /^\w+/.exec(each)?.[0] === name && wanted.every((label) => each.includes(label)));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

const namesIn = (text: string): string[] => [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => name);

test("what is exported is what docs/metrics.md says, by Prometheus and by OTLP", async () => {
  const key = generateMasterKey();
  const receiver = await openSink();
  onTestFinished(() => receiver.close());
  const refused = await refusedFolder();
  const system = await startSystem({
    PENSTOCK_MASTER_KEY: key,
    OUTBOUND_ALLOW: "127.0.0.0/8",
    RETENTION_BYTES: "1MiB",
    INTAKE_REFUSED_DIR: refused,
    ARCHIVE_URL: pathToFileURL(refused).href,
  });
  const secret = parseMasterKeys(key).seal(generateSecret(), "ep_1");
  const settings = { ...ENDPOINT_DEFAULTS, url: receiver.url };
  await createEndpoint(system.store, { id: "ep_1", secret, settings }, "test");
  const twice = makeEvent("contact.created");
  for (const event of [twice, twice]) await system.send(event);
  await system.send({ ...makeEvent("message.sent"), type: "made.up" } as never);
  await fetch(system.ingest.url, { method: "POST", body: "{}" });
  // The job is lost, so that the sweep finds something.
  const redis = new Redis(system.redisUrl);
  await eventually(async () => expect(await redis.llen("bull:events:wait")).toBeGreaterThan(0));
  await redis.flushdb();
  await redis.quit();
  const worker = await system.startWorker();
  const rows = await documented();
  const sorted = (list: readonly Documented[]): object[] =>
    list
      .map(({ prometheus, labels, of }) => ({ prometheus, labels, of }))
      .toSorted((a, b) => (a.prometheus < b.prometheus ? -1 : 1));
  await eventually(
    async () => {
      const [ingest, work] = (await Promise.all([system.ingest.internalUrl, worker.internalUrl].map(scrape))).map(
        labelsIn,
      );
      const names = [...new Set([...ingest!.keys(), ...work!.keys()])].filter((name) => name !== "target_info");
      const exported = names.map((prometheus) => ({
        prometheus,
        labels: [...new Set([...(ingest!.get(prometheus) ?? []), ...(work!.get(prometheus) ?? [])])].toSorted(),
        of: !work!.has(prometheus) ? "ingest" : ingest!.has(prometheus) ? "both" : "worker",
      }));
      expect(sorted(exported as never)).toEqual(sorted(rows));
    },
    { timeoutMs: 60_000 },
  );
  const units = new Map(rows.map(({ otlp, unit }) => [otlp, unit]));
  await eventually(() => Promise.resolve(expect(system.sink.metrics).toEqual(units)));
});

test("metrics count what happens, and what anybody can send makes no new label", async () => {
  const system = await startSystem();
  const worker = await system.startWorker();
  const event = makeEvent("message.received");
  await system.send(event);
  await system.send(event);
  await system.send({ ...event, createdAt: "2026-06-02T00:00:00Z" });
  await system.send(makeEvent("message.sent", { createdAt: "2001-01-01T00:00:00Z" }));
  for (let at = 0; at < 5; at++) await system.send({ ...makeEvent("message.sent"), type: `made.up.${at}` } as never);
  for (let at = 0; at < 5; at++) {
    await fetch(new URL(`nobody${at}`, system.ingest.url), { method: "POST", body: "{}" });
  }
  await fetch(system.ingest.url, { method: "POST", body: "{}" });
  await fetch(system.ingest.url);
  await system.send(makeEvent("contact.created"));
  await system.send(makeEvent("message.failed"));

  const ingest = await scrape(system.ingest.internalUrl);
  const accepted = (type: string): number | undefined =>
    valueOf(ingest, "penstock_events_accepted_total", { source: "buzzbip", type });
  expect(accepted("message.received")).toBe(3);
  expect(accepted("message.sent")).toBe(1);
  expect(accepted("other")).toBe(5);
  expect(valueOf(ingest, "penstock_acknowledgement_duration_count")).toBe(11);
  const refused = (source: string, reason: string): number | undefined =>
    valueOf(ingest, "penstock_requests_refused_total", { source, reason });
  expect(refused("unknown", "unknown-source")).toBe(5);
  expect(refused("buzzbip", "missing-signature")).toBe(1);
  expect(refused("buzzbip", "method")).toBe(1);
  expect(valueOf(ingest, "penstock_pool_connections", { pool: "store", state: "waiting" })).toBe(0);

  await eventually(
    async () => {
      const text = await scrape(worker.internalUrl);
      const calls = (handler: string, outcome: string): number | undefined =>
        valueOf(text, "penstock_handler_duration_count", { handler, outcome });
      expect(calls("plain", "succeeded")).toBe(1);
      expect(calls("stubborn", "failed")).toBe(2);
      expect(calls("stubborn", "succeeded")).toBe(1);
      expect(calls("outward", "failed")).toBe(1);
      expect(calls("outward", "succeeded")).toBe(1);
      expect(valueOf(text, "penstock_queue_lag_count", { queue: "events" })).toBeGreaterThan(0);
      expect(valueOf(text, "penstock_events_duplicates_total")).toBe(1);
      // One whose id has another body, one that is too old, and five of types that are unknown.
      expect(valueOf(text, "penstock_events_quarantined_total")).toBe(7);
      expect(valueOf(text, "penstock_pending_events")).toBe(0);
    },
    { timeoutMs: 30_000 },
  );
});

test("what waits is measured: pending events, their age, and deliveries that are dead", async () => {
  const system = await startSystem();
  await system.store.pool.query(
    `INSERT INTO penstock.deliveries (day, seq, subscriber, state)
     SELECT current_date, n, 'plain', 'dead' FROM generate_series(1, 3) AS n`,
  );
  const holder = await system.store.pool.connect();
  await holder.query(`INSERT INTO penstock.pending VALUES (1, current_date, 1, 0, now() - interval '1 hour')`);
  // Held, so that no worker can take it.
  await holder.query("BEGIN; SELECT FROM penstock.pending FOR UPDATE");
  const worker = await system.startWorker();
  try {
    await eventually(
      async () => {
        const text = await scrape(worker.internalUrl);
        expect(valueOf(text, "penstock_pending_events")).toBe(1);
        expect(valueOf(text, "penstock_pending_oldest_age")).toBeGreaterThanOrEqual(3_600);
        expect(valueOf(text, "penstock_deliveries", { handler: "plain", state: "dead" })).toBe(3);
      },
      { timeoutMs: 30_000 },
    );
  } finally {
    holder.release(true);
  }
});
