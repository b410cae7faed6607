// The figures that the benchmark is about, each made of runs that stand in the same results.
import { LARGE } from "./groups.ts";
import type { BytesWritten, Measures } from "./run.ts";
import { median } from "./statistics.ts";

/** A run, as it stands in the results. */
export interface Run extends Measures {
  /** What was compared: `intake`, `process`, … */
  readonly kind: string;
  /** Which of those that were compared. */
  readonly name: string;
  readonly variant: string;
  readonly payloadBytes: number;
  readonly round: number;
}

/** A figure and what it was to be. */
export interface Figure {
  /** Its place in the JSON, e.g. `intake.ratioToLimit`. */
  readonly key: string;
  readonly what: string;
  readonly value: number;
  /** Of the rounds by themselves, the least and the most. */
  readonly range: readonly [number, number];
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
}

/** The variants that store events, by their names in keys. */
const STORING = [
  ["penstock-redis", "Redis"],
  ["penstock-postgres", "Postgres"],
  ["idiomatic", "Idiomatic"],
] as const;

/** What Postgres wrote per event at an earlier commit, when an event was three rows before its answer: by the group `disk`. */
const BEFORE: { commit: string; measured: string; bytesPerEvent: Readonly<Record<string, BytesWritten>> } = {
  commit: "a0a8561",
  measured: "2026-11-30",
  bytesPerEvent: {
    "penstock-redis": { wal: 1_863, tables: 991 },
    "penstock-postgres": { wal: 1_912, tables: 1_054 },
  },
};

type Pick = (run: Run) => number;

const rate: Pick = ({ perSecond }) => perSecond;
const p99: Pick = ({ p99Ms }) => p99Ms ?? Number.NaN;
const toEffectP50: Pick = ({ toEffect }) => toEffect?.p50Ms ?? Number.NaN;
const toEffectP99: Pick = ({ toEffect }) => toEffect?.p99Ms ?? Number.NaN;

/** Every figure that these runs can tell; void ones tell nothing. */
export function figuresOf(runs: readonly Run[]): Figure[] {
  const valid = runs.filter(({ problems }) => problems.length === 0);
  const all = (kind: string, name: string): Run[] => valid.filter((run) => run.kind === kind && run.name === name);
  const figures: Figure[] = [];

  function add(key: string, what: string, values: readonly number[], target?: Figure["target"], value?: number): void {
    if (values.length === 0) return;
    const range = [Math.min(...values), Math.max(...values)] as const;
    figures.push({ key, what, value: value ?? median(values), range, ...(target && { target }) });
  }

  /** The ratio of two medians. Its range is that of the ratios within each round. */
  function ratio(
    key: string,
    what: string,
    kind: string,
    [of, to]: [string, string],
    target?: Figure["target"],
    pick = rate,
  ): void {
    const pairs = all(kind, of).flatMap((run) => {
      const other = all(kind, to).find(({ round }) => round === run.round);
      return other ? [pick(run) / pick(other)] : [];
    });
    if (pairs.length === 0) return;
    add(key, what, pairs, target, median(all(kind, of).map(pick)) / median(all(kind, to).map(pick)));
  }

  /** The one of these with the highest median. */
  function best(kind: string, ...names: [string, ...string[]]): string {
    const known = names.filter((name) => all(kind, name).length > 0);
    const medianOf = (name: string): number => median(all(kind, name).map(rate));
    return known.toSorted((a, b) => medianOf(b) - medianOf(a))[0] ?? names[0];
  }

  const redis = "penstock-redis";
  const postgres = "penstock-postgres";
  ratio("intake.ratioToLimit", "intake on Redis, against the limit", "intake", [redis, "limit"], { atLeast: 0.75 });
  ratio("intake.ratioToIdiomatic", "intake on Redis, against idiomatic", "intake", [redis, "idiomatic"], {
    atLeast: 2,
  });
  ratio(
    "intake.ratioToLimitPostgresOnly",
    "intake on Postgres alone, against the limit",
    "intake",
    [postgres, "limit"],
    { atLeast: 0.7 },
  );
  ratio(
    "intake.ratioToLimit4KiB",
    `intake on Redis, payload of ${LARGE} bytes, against the limit`,
    "intake 4 KiB",
    [redis, "limit"],
    { atLeast: 0.55 },
  );
  ratio("intake.ratioToIdiomatic4KiB", "and against idiomatic", "intake 4 KiB", [redis, "idiomatic"]);
  ratio(
    "intake.p99RatioToIdiomaticAtHalfLoad",
    "p99 of the acknowledgement at half of one's own maximum, against idiomatic at its own",
    "half load",
    [redis, "idiomatic"],
    { atMost: 0.7 },
    p99,
  );

  const pgboss = best("process", "pgboss", "pgboss-batch");
  ratio(
    "process.ratioToBullmq",
    "processing, against BullMQ with a transaction per job",
    "process",
    [redis, "bullmq"],
    { atLeast: 10 },
  );
  ratio("process.ratioToBullmqPerEvent", "the same, one event after another", "process", ["penstock-plain", "bullmq"], {
    atLeast: 3,
  });
  ratio("process.ratioToPgboss", `processing, against ${pgboss}`, "process", [redis, pgboss], { atLeast: 4 });
  ratio("process.ratioToGraphile", "processing, against graphile-worker with a job per event", "process", [
    redis,
    "graphile",
  ]);
  ratio("process.ratioToGraphileBound", "a bound: against graphile-worker with ready-made batches of 200", "process", [
    redis,
    "graphile-batch",
  ]);

  ratio("endToEnd.ratioToIdiomatic", "end to end on Redis, against idiomatic", "end to end", [redis, "idiomatic"], {
    atLeast: 5,
  });
  ratio(
    "endToEnd.ratioPostgresOnly",
    "end to end on Postgres alone, against idiomatic",
    "end to end",
    [postgres, "idiomatic"],
    { atLeast: 4.5 },
  );
  for (const [name, peer] of [
    ["Graphile", "graphile-worker"],
    ["Pgboss", "pg-boss"],
  ] as const) {
    const variant = `express-${name.toLowerCase()}`;
    const behind = `against ${peer} behind Express, a job per request`;
    const target = { atLeast: 4 };
    ratio(`endToEnd.ratioTo${name}`, `end to end on Redis, ${behind}`, "end to end", [redis, variant], target);
    ratio(
      `endToEnd.ratioTo${name}PostgresOnly`,
      "the same on Postgres alone",
      "end to end",
      [postgres, variant],
      target,
    );
  }
  ratio("endToEnd.ratioToIdiomatic4KiB", `on Redis, payload of ${LARGE} bytes`, "end to end 4 KiB", [
    redis,
    "idiomatic",
  ]);

  for (const [kind, what] of [
    ["wal", "WAL"],
    ["tables", "tables and indexes"],
  ] as const) {
    for (const [name, key] of STORING) {
      const bytes = all("disk", name).flatMap(({ bytesPerEvent }) => bytesPerEvent?.[kind] ?? []);
      const title = `bytes of ${what} per event, ${name}`;
      add(`disk.${kind}Bytes${key}`, title, bytes);
      const before = BEFORE.bytesPerEvent[name]?.[kind];
      if (before === undefined) continue;
      add(
        `disk.${kind}Ratio${key}`,
        `the same, against ${Math.round(before)} at ${BEFORE.commit} (${BEFORE.measured})`,
        bytes.map((value) => value / before),
        { atMost: 0.5 },
      );
    }
  }

  const cost = (pick: Pick, sign: 1 | -1): number[] =>
    all("telemetry", "on").flatMap((on) => {
      const off = all("telemetry", "off").find(({ round }) => round === on.round);
      return off ? [sign * (pick(on) / pick(off) - 1) * 100] : [];
    });
  const penstockCpu: Pick = ({ cpuUsPerEvent: cpu }) => (cpu["ingest"] ?? 0) + (cpu["worker"] ?? 0);
  add("telemetry.costPercent", "throughput that telemetry with 1 % of the traces costs, in percent", cost(rate, -1), {
    atMost: 8,
  });
  add("telemetry.cpuPercent", "processor time of ingest and worker that it costs, in percent", cost(penstockCpu, 1));

  for (const [name, key] of STORING) {
    for (const [share, pick] of [
      ["P50", toEffectP50],
      ["P99", toEffectP99],
    ] as const) {
      const runs = all("light load", name);
      add(
        `latency.light${key}${share}Ms`,
        `light load, ${name}: to the committed effect, ${share}, ms`,
        runs.map(pick),
      );
      if (name === "idiomatic") continue;
      const ratioKey = `latency.light${key}${share}RatioToIdiomatic`;
      ratio(ratioKey, "the same, against idiomatic", "light load", [name, "idiomatic"], { atMost: 1.2 }, pick);
    }
  }

  ratio(
    "console.p99Ratio",
    "p99 of the acknowledgement at 200 events a second with the console open on live events, against without",
    "console",
    ["somebody looks", "nobody looks"],
    { atMost: 1.2 },
    p99,
  );
  ratio(
    "isolation.ratio",
    "four handlers, one beside them failing, against none",
    "isolation",
    ["penstock-five-one-failing", "penstock-five"],
    { atLeast: 0.9 },
  );
  ratio(
    "backlog.ratioToBatches",
    "deliveries that wait of a handler with a statement per event, against its batches",
    "backlog",
    ["deliveries", "batches"],
    { atLeast: 0.5 },
  );
  add("backlog.perSecond", "deliveries that wait, per second", all("backlog", "deliveries").map(rate), {
    atLeast: 1_000,
  });
  ratio("contention.ratio", "two workers on 1,000 hot keys, against cold ones", "contention", ["hot", "cold"], {
    atLeast: 0.7,
  });
  ratio(
    "outbound.ratioToUndici",
    "deliveries to an endpoint, 64 in flight, against bare undici with an HMAC",
    "outbound",
    ["penstock-outbound", "undici"],
  );
  const leaving = all("outbound, light", "penstock-outbound").flatMap(({ toEffect }) => toEffect ?? []);
  add(
    "outbound.latencyP50Ms",
    "light load: from the commit to the first byte at the receiver, median, ms",
    leaving.map(({ p50Ms }) => p50Ms),
  );
  add(
    "outbound.latencyP99Ms",
    "p99, ms",
    leaving.map(({ p99Ms }) => p99Ms),
  );
  const fanOut = all("fan-out", "penstock-outbound");
  add("outbound.fanOutPerSecond", "1,000 endpoints × 100 events: deliveries per second", fanOut.map(rate));
  add(
    "outbound.fanOutRssMiB",
    "the worker's largest resident memory meanwhile, MiB",
    fanOut.flatMap(({ rssMiB }) => rssMiB["worker"] ?? []),
  );
  add(
    "outbound.fanOutGrowthMiB",
    "by how much that is more than before, MiB",
    fanOut.map(({ rssMiB }) => (rssMiB["worker"] ?? 0) - (rssMiB["worker before"] ?? 0)),
  );
  ratio("scale.twoIngests", "two ingest processes, against one", "scale, intake", ["2 ingests", "1 ingest"]);
  ratio("scale.twoWorkers", "two workers, against one", "scale, process", ["2 workers", "1 worker"]);

  ratio(
    "growth.intakeRatioAt10M",
    "intake with 10 million stored events, against none",
    "growth, intake",
    ["grown", "empty"],
    { atLeast: 0.95 },
  );
  ratio("growth.processRatioAt10M", "processing with them", "growth, process", ["grown", "empty"]);
  const growth = figures.filter(({ key }) => key.startsWith("growth."));
  const worse = growth.toSorted((a, b) => a.value - b.value)[0];
  if (growth.length === 2 && worse) {
    figures.push({ ...worse, key: "growth.ratioAt10M", what: "the lower of the two", target: { atLeast: 0.9 } });
  }
  const going = ["a day goes", "a day goes but for a hundredth"] as const;
  for (const [key, name] of [
    ["whole", going[0]],
    ["inPart", going[1]],
  ] as const) {
    ratio(`retention.${key}P99Ratio`, `p99 of intake while ${name}`, "retention", [name, "normal"], { atMost: 2 }, p99);
    const times = all("retention", name).flatMap(({ tookS }) => tookS ?? []);
    add(`retention.${key}Seconds`, `how long it took that ${name}, s`, times);
  }
  for (const { name } of valid.filter(({ kind, round }) => kind === "search" && round === 1)) {
    const key = `search.${name.replace(/ (\w)/g, (_, letter: string) => letter.toUpperCase())}Ms`;
    add(
      key,
      `search by ${name}, the slowest of each round, ms`,
      all("search", name).map(({ maxMs }) => maxMs ?? Number.NaN),
      { atMost: 1_000 },
    );
  }
  const memory = all("memory", redis);
  const rss = (role: string): number[] => memory.flatMap(({ rssMiB }) => rssMiB[role] ?? []);
  add("rssMiB.ingest", "largest resident memory of ingest over a million events, MiB", rss("ingest"), { atMost: 150 });
  add("rssMiB.worker", "of the worker", rss("worker"), { atMost: 250 });
  return figures;
}

/** Whether a figure is what it was to be; null where nothing was asked. */
export function isReached({ value, target }: Figure): boolean | null {
  if (target === undefined) return null;
  return "atLeast" in target ? value >= target.atLeast : value <= target.atMost;
}

/** The figures as an object, nested by the dots of their keys. */
export function nest(figures: readonly Figure[]): Record<string, Record<string, number>> {
  const nested: Record<string, Record<string, number>> = {};
  for (const { key, value } of figures) {
    const [group = "", name = ""] = key.split(".");
    (nested[group] ??= {})[name] = Number(value.toPrecision(4));
  }
  return nested;
}
