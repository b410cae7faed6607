import { expect, test } from "vitest";
import { type Books, imbalances } from "./books.ts";
import { figuresOf, isReached, nest, type Run } from "./figures.ts";
import { measuredAgain, toMarkdown, type Results } from "./report.ts";
import { describeTimes, median, percentile } from "./statistics.ts";

const balanced: Books = {
  sent: 10,
  acknowledged: 10,
  refused: 0,
  timedOut: 0,
  stored: 10,
  ledger: 20,
  effects: 20,
  handlers: 2,
};

function run(kind: string, name: string, round: number, perSecond: number, more: Partial<Run> = {}): Run {
  const common = { variant: name, payloadBytes: 350, events: 10, seconds: 1, cpuUsPerEvent: {}, rssMiB: {} };
  return { ...common, books: balanced, problems: [], kind, name, round, perSecond, ...more };
}

test("medians and percentiles are of the values themselves", () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  const hundred = Float64Array.from({ length: 100 }, (_, at) => 100 - at);
  expect(describeTimes(hundred)).toEqual({ p50Ms: 50, p99Ms: 99, maxMs: 100 });
  expect(percentile([7], 0.99)).toBe(7);
});

test("books that do not balance are told, whatever is off", () => {
  expect(imbalances(balanced)).toEqual([]);
  expect(imbalances({ ...balanced, stored: null, ledger: null, effects: null })).toEqual([]);
  expect(imbalances({ ...balanced, timedOut: 1 })).toEqual([expect.stringContaining("1 timed out")]);
  expect(imbalances({ ...balanced, stored: 11 })).toEqual([expect.stringContaining("11 stored")]);
  expect(imbalances({ ...balanced, ledger: 19 })).toEqual([expect.stringContaining("19 in the ledger")]);
  expect(imbalances({ ...balanced, effects: 21 })).toEqual([expect.stringContaining("21 effects")]);
  expect(imbalances({ ...balanced, sent: 0, acknowledged: 0, stored: 0, ledger: 0, effects: 0 })).toHaveLength(1);
});

test("a ratio is that of the medians, its range that of the rounds, and void runs count for nothing", () => {
  const runs = [
    ...[100, 200, 300].map((rate, at) => run("intake", "limit", at + 1, rate)),
    ...[80, 150, 90].map((rate, at) => run("intake", "penstock-redis", at + 1, rate)),
    run("intake", "penstock-redis", 4, 100_000, { problems: ["11 stored"] }),
  ];
  const [figure] = figuresOf(runs);
  expect(figure).toMatchObject({ key: "intake.ratioToLimit", value: 0.45, range: [0.3, 0.8] });
  expect(figure && isReached(figure)).toBe(false);
  expect(nest(figuresOf(runs))).toEqual({ intake: { ratioToLimit: 0.45 } });
});

test("a peer is represented by the best of its variants, ready-made batches are a bound without a target", () => {
  const rates = { "penstock-redis": 1_000, graphile: 100, "graphile-batch": 500, pgboss: 200, "pgboss-batch": 100 };
  const figures = figuresOf(Object.entries(rates).map(([name, rate]) => run("process", name, 1, rate)));
  expect(nest(figures)["process"]).toEqual({ ratioToGraphile: 10, ratioToGraphileBound: 2, ratioToPgboss: 5 });
  expect(figures.find(({ key }) => key === "process.ratioToGraphileBound")).not.toHaveProperty("target");
});

test("what Postgres writes per event is told in bytes, and Penstock's also against what it was before", () => {
  const bytes = (name: string, wal: number, tables: number): Run =>
    run("disk", name, 1, 100, { bytesPerEvent: { wal, tables } });
  const figures = figuresOf([bytes("penstock-redis", 900, 700), bytes("idiomatic", 400, 100)]);
  const ofDisk = nest(figures)["disk"] ?? {};
  expect(ofDisk).toMatchObject({ walBytesRedis: 900, tablesBytesRedis: 700, walBytesIdiomatic: 400 });
  expect(ofDisk["walRatioIdiomatic"]).toBeUndefined();
  expect(figures.find(({ key }) => key === "disk.walRatioRedis")?.target).toEqual({ atMost: 0.5 });
});

test("light load is told in milliseconds and against idiomatic", () => {
  const light = (name: string, p50Ms: number, p99Ms: number): Run =>
    run("light load", name, 1, 20, { toEffect: { p50Ms, p99Ms, maxMs: p99Ms } });
  const figures = figuresOf([light("penstock-redis", 6, 9), light("idiomatic", 4, 12)]);
  expect(nest(figures)["latency"]).toMatchObject({
    lightRedisP50Ms: 6,
    lightRedisP50RatioToIdiomatic: 1.5,
    lightRedisP99RatioToIdiomatic: 0.75,
    lightIdiomaticP99Ms: 12,
  });
});

test("telemetry costs what it takes from the throughput, in percent", () => {
  const runs = [run("telemetry", "off", 1, 1_000), run("telemetry", "on", 1, 960)];
  expect(nest(figuresOf(runs))["telemetry"]?.["costPercent"]).toBeCloseTo(4);
});

test("what was measured again stands in place of what was measured first, and is told", () => {
  const settings = { quick: false, rounds: 1, seconds: 4, connections: 64 };
  const results = (...runs: Run[]): Results => {
    return {
      startedAt: "2026-01-02T03:04:05.000Z",
      tookSeconds: 60,
      settings,
      machine: {},
      figures: figuresOf(runs),
      runs,
    };
  };
  const first = results(
    run("intake", "limit", 1, 100),
    run("intake", "penstock-redis", 1, 50),
    run("scale", "x", 1, 7),
  );
  const later = results(run("intake", "limit", 1, 100), run("intake", "penstock-redis", 1, 75));
  const merged = measuredAgain(first, { ...later, settings: { ...settings, rounds: 3 } });
  expect(merged.runs.map(({ kind, perSecond }) => [kind, perSecond])).toEqual([
    ["intake", 100],
    ["intake", 75],
    ["scale", 7],
  ]);
  expect(merged.figures.find(({ key }) => key === "intake.ratioToLimit")?.value).toBe(0.75);
  expect(toMarkdown(merged)).toContain("in 2 minutes: 1 rounds, 4 s each. Measured again: intake, 3 rounds of 4 s.");
});
