import { expect, onTestFinished, test } from "vitest";
import { instruments } from "./instruments.ts";
import { startInternalServer } from "./internal-server.ts";
import { createLogger } from "./logger.ts";
import { createReadiness, type HealthCheck } from "./readiness.ts";
import { createResource } from "./resource.ts";
import { startMetrics } from "./start-metrics.ts";
import type { Telemetry } from "./start-telemetry.ts";

const well: HealthCheck = { name: "postgres", required: true, check: () => Promise.resolve() };
const broken = (required: boolean): HealthCheck => ({
  name: required ? "migrations" : "queue",
  required,
  check: () => Promise.reject(new Error("connect ECONNREFUSED 127.0.0.1:6379")),
});

async function serve(
  options: {
    port?: number;
    orAnyPort?: boolean;
    checks?: HealthCheck[];
    isClosing?: boolean;
  } & Partial<Telemetry> = {},
) {
  const { port = 0, orAnyPort = false, checks = [well], isClosing = false, ...telemetry } = options;
  const lines: string[] = [];
  const log = createLogger({ service: "test", level: "info", destination: { write: (line) => lines.push(line) } });
  const server = await startInternalServer({
    host: "127.0.0.1",
    port,
    orAnyPort,
    telemetry: { log, stop: () => Promise.resolve(), ...telemetry },
    readiness: createReadiness(checks, () => isClosing),
  });
  onTestFinished(() => server.close());
  const get = (path: string, method = "GET") => fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return { port: server.port, get, lines };
}

test("readyz tells in detail what is not in order", async () => {
  const { get } = await serve({ checks: [well, broken(true), broken(false)] });
  const answer = await get("/readyz");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    status: "not-ready",
    checks: {
      postgres: "ok",
      migrations: "connect ECONNREFUSED 127.0.0.1:6379",
      queue: "connect ECONNREFUSED 127.0.0.1:6379",
    },
  });
});

test.each([
  ["all is well", { checks: [well] }, 200, "ready"],
  ["only what it does without is away", { checks: [well, broken(false)] }, 200, "degraded"],
  ["it is stopping", { isClosing: true }, 503, "stopping"],
])("readyz when %s", async (_, options, status, word) => {
  const { get } = await serve(options);
  const answer = await get("/readyz");
  expect([answer.status, ((await answer.json()) as { status: string }).status]).toEqual([status, word]);
});

test("healthz says that the process lives; other paths and methods are told what there is", async () => {
  const { get } = await serve({ checks: [broken(true)] });
  expect((await get("/healthz")).status).toBe(200);
  expect((await get("/webhooks/buzzbip")).status).toBe(404);
  const posted = await get("/healthz", "POST");
  expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET"]);
});

test("metrics are those of the process, in the Prometheus format", async () => {
  const metrics = await startMetrics(createResource("penstock-test"), {}, false);
  onTestFinished(() => metrics.stop());
  const { get } = await serve({ respondMetrics: metrics.respond });
  const answer = await get("/metrics");
  expect(answer.headers.get("content-type")).toMatch(/^text\/plain/);
  expect(await answer.text()).toMatch(/^nodejs_eventloop_utilization.* [01](\.\d+)?$/m);
});

test("counters are read right after many adds, also those from before the metrics were started", async () => {
  const types = ["message.sent", "other"];
  const add = (count: number): void => {
    for (let at = 0; at < count; at++) {
      for (const type of types) instruments.accepted().add(1, { source: "one", type });
      instruments.swept().add(2);
    }
  };
  add(1_000);
  const metrics = await startMetrics(createResource("penstock-test"), {}, false);
  onTestFinished(() => metrics.stop());
  const { get } = await serve({ respondMetrics: metrics.respond });
  const counted = async (): Promise<(string | undefined)[]> => {
    const text = await (await get("/metrics")).text();
    const lines = types.map((type) => `events_accepted_total{source="one",type="${type}"} `);
    lines.push("sweep_batches_total ");
    return lines.map((line) =>
      text
        .split("\n")
        .find((each) => each.startsWith(`penstock_${line}`))
        ?.split(" ")
        .at(-1),
    );
  };
  expect(await counted()).toEqual(["1000", "1000", "2000"]);
  add(99_000);
  expect(await counted()).toEqual(["100000", "100000", "200000"]);
  expect(await counted()).toEqual(["100000", "100000", "200000"]);
});

test("where metrics are off, that is said", async () => {
  const { get } = await serve();
  const answer = await get("/metrics");
  expect([answer.status, await answer.text()]).toEqual([404, expect.stringContaining("OTEL_SDK_DISABLED")]);
});

test("a port that is taken is an error where it was asked for, and else another one is used and told", async () => {
  const first = await serve();
  await expect(serve({ port: first.port })).rejects.toThrow("EADDRINUSE");
  const second = await serve({ port: first.port, orAnyPort: true });
  expect(second.port).not.toBe(first.port);
  expect(second.lines.join()).toContain(`"port":${second.port}`);
});
