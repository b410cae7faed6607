// What is measured: groups of cases that are compared with each other, run in turns A B A B.
import { fillWithHistory, leaveAsDeliveries, parkRetries, prepareCounters } from "./history.ts";
import { type Measures, runEndToEnd, runIntake, runMemory, type RunOptions, runProcess } from "./run.ts";
import { runAddedLatency, runDeliveries, runFanOut } from "./run-outbound.ts";
import { runBesideRetention } from "./run-retention.ts";
import { fillWithEvents, runSearch } from "./run-search.ts";
import { createDatabase, type Postgres, type Stage } from "./stage.ts";
import { median } from "./statistics.ts";
import { runWatched } from "./run-watched.ts";
import { type Variant, VARIANTS } from "./variants.ts";

/** One variant under one condition. */
export interface Case {
  /** In reports; the variant's name unless given. */
  readonly name?: string;
  readonly variant: string;
  readonly shape: (stage: Stage, variant: Variant, options: RunOptions) => Promise<Measures>;
  readonly options: RunOptions;
  /** A database that is there, and stays. */
  readonly database?: string;
}

/** What a group works with. */
export interface Bench {
  readonly postgres: Postgres;
  readonly quick: boolean;
  readonly rounds: number;
  /** Of what is not compared with a peer: in a quick benchmark once has to do. */
  readonly ownRounds: number;
  readonly seconds: number;
  /** Runs each case so many times, in turns. */
  alternate(kind: string, rounds: number, cases: readonly Case[]): Promise<void>;
  /** The rates of a case so far. */
  rates(kind: string, name: string): number[];
  say(text: string): void;
}

/** A group, run as a whole. */
export interface Group {
  readonly name: string;
  readonly about: string;
  /** Not part of --quick. */
  readonly long?: true;
  run(bench: Bench): Promise<void>;
}

const SMALL = 350;
export const LARGE = 4096;
const HISTORY = 10_000_000;
const DISK_EVENTS = 20_000;
const MEMORY_EVENTS = 1_000_000;
const PARKED = 100_000;
const LIGHT_PER_SECOND = 20;
const QUICK_HISTORY = 100_000;
const RETENTION_PER_SECOND = 1_000;
const WATCHED_PER_SECOND = 200;
/** What operators ask for; `$n` is the number of an event, another one each time. */
const QUERIES = {
  newest: "",
  id: "id:evt_search_$n",
  type: "type:contact.created",
  state: "state:dead",
  subject: "subject:cnt_$n",
  time: "type:message.* age>1m",
  "value in the body": "data.messageId=msg_search_$n",
  "nothing to find": "data.contactId=nobody",
} as const;

const INTAKE = ["limit", "penstock-redis", "idiomatic", "penstock-postgres"];

export const GROUPS: readonly Group[] = [
  {
    name: "intake",
    about: "webhooks acknowledged per second, nothing processes them",
    run: ({ alternate, rounds, seconds }) => alternate("intake", rounds, intakeCases(INTAKE, SMALL, seconds)),
  },
  {
    name: "half-load",
    about: "how long an acknowledgement takes at half of what intake can do, open loop",
    async run({ alternate, rates, rounds, seconds }) {
      const storing = ["penstock-redis", "idiomatic"];
      const unknown = storing.filter((variant) => rates("intake", variant).length === 0);
      await alternate("intake", 1, intakeCases(unknown, SMALL, seconds));
      const cases = storing.flatMap((variant): Case[] => {
        const most = rates("intake", variant);
        if (most.length === 0) return []; // it takes no part, or its runs were void
        const perSecond = Math.round(median(most) / 2);
        return [{ variant, shape: runIntake, options: { payloadBytes: SMALL, seconds, perSecond } }];
      });
      await alternate("half load", rounds, cases);
    },
  },
  {
    name: "large",
    about: `intake of payloads of ${LARGE} bytes instead of ${SMALL}`,
    long: true,
    run: ({ alternate, ownRounds, seconds }) =>
      alternate("intake 4 KiB", ownRounds, intakeCases(INTAKE, LARGE, seconds)),
  },
  {
    name: "process",
    about: "a backlog processed, events per second: a mark and a row for each",
    async run({ alternate, rounds, quick, seconds }) {
      const variants = ["bullmq", "penstock-redis", "penstock-plain", "penstock-postgres"];
      variants.push("graphile-batch", "pgboss-batch", ...(quick ? [] : ["graphile", "pgboss"]));
      const cases = variants.map((variant) => ({
        variant,
        shape: runProcess,
        options: { payloadBytes: SMALL, seconds },
      }));
      await alternate("process", rounds, cases);
    },
  },
  {
    name: "end-to-end",
    about:
      "from the webhook to the committed row: events per second, sustained, and bytes that Postgres writes for each",
    async run({ alternate, rounds, quick, seconds }) {
      const variants = ["idiomatic", "penstock-redis", "penstock-postgres"];
      const cases = (names: readonly string[], payloadBytes: number): Case[] =>
        names.map((variant) => ({ variant, shape: runEndToEnd, options: { payloadBytes, seconds } }));
      await alternate("end to end", rounds, cases([...variants, "express-graphile", "express-pgboss"], SMALL));
      if (!quick) await alternate("end to end 4 KiB", rounds, cases(variants, LARGE));
    },
  },
  {
    name: "disk",
    about: `bytes that Postgres writes per event, of ${DISK_EVENTS.toLocaleString("en")} from the webhook to the committed row`,
    async run({ alternate, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds, events: DISK_EVENTS };
      const variants = ["penstock-redis", "penstock-postgres", "idiomatic"];
      const cases = variants.map((variant) => ({ variant, shape: runEndToEnd, options }));
      await alternate("disk", ownRounds, cases);
    },
  },
  {
    name: "telemetry",
    about: "the same without any telemetry and with all of it, traces of 1 % among it",
    async run({ alternate, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds };
      const common = { variant: "penstock-redis", shape: runEndToEnd };
      await alternate("telemetry", ownRounds, [
        { ...common, name: "off", options: { ...options, env: { OTEL_SDK_DISABLED: "true" } } },
        { ...common, name: "on", options: { ...options, prepare: startSink } },
      ]);
    },
  },
  {
    name: "light",
    about: `${LIGHT_PER_SECOND} events per second: from the moment an event is to be sent to the commit of its row`,
    async run({ alternate, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds: seconds * 3, perSecond: LIGHT_PER_SECOND };
      const variants = ["penstock-redis", "penstock-postgres", "idiomatic"];
      const cases = variants.map((variant) => ({ variant, shape: runEndToEnd, options }));
      await alternate("light load", ownRounds, cases);
    },
  },
  {
    name: "console",
    about: `${WATCHED_PER_SECOND} events per second, with the console open on live events, and without`,
    async run({ alternate, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds: seconds * 3, perSecond: WATCHED_PER_SECOND };
      const variant = "penstock-redis";
      await alternate("console", ownRounds, [
        { name: "nobody looks", variant, shape: runEndToEnd, options },
        { name: "somebody looks", variant, shape: runWatched, options },
      ]);
    },
  },
  {
    name: "isolation",
    about: `five handlers; one that always fails, and ${PARKED.toLocaleString("en")} of its retries parked: the other four`,
    async run({ alternate, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds, schemas: ["bench", "bench_2", "bench_3", "bench_4"] };
      await alternate("isolation", ownRounds, [
        { variant: "penstock-five", shape: runProcess, options },
        {
          variant: "penstock-five-one-failing",
          shape: runProcess,
          options: { ...options, prepare: (stage: Stage) => parkRetries(stage, PARKED, "bench-5") },
        },
      ]);
    },
  },
  {
    name: "backlog",
    about:
      "a statement for each event: what waits as deliveries of its own, as after a demotion, against what waits in batches",
    async run({ alternate, ownRounds, seconds }) {
      const common = { variant: "penstock-plain", shape: runProcess };
      const options = { payloadBytes: SMALL, seconds };
      await alternate("backlog", ownRounds, [
        { ...common, name: "batches", options },
        {
          ...common,
          name: "deliveries",
          options: { ...options, beforeWork: (stage: Stage) => leaveAsDeliveries(stage, "bench") },
        },
      ]);
    },
  },
  {
    name: "contention",
    about: "two workers whose handler counts per contact: a thousand contacts, against 200,000",
    async run({ alternate, ownRounds, seconds }) {
      const cases = Object.entries({ cold: 200_000, hot: 1_000 }).map(([name, contacts]) => ({
        name,
        variant: "penstock-counting",
        shape: runProcess,
        options: {
          payloadBytes: SMALL,
          seconds,
          contacts,
          workers: 2,
          prepare: (stage: Stage) => prepareCounters(stage, contacts),
        },
      }));
      await alternate("contention", ownRounds, cases);
    },
  },
  {
    name: "outbound",
    about: `deliveries to an endpoint per second, against bare undici; and how long after the commit each one leaves`,
    async run({ alternate, rounds, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds };
      await alternate("outbound", rounds, [
        { variant: "undici", shape: runDeliveries, options },
        { variant: "penstock-outbound", shape: runDeliveries, options },
      ]);
      const light = { ...options, seconds: seconds * 3, perSecond: LIGHT_PER_SECOND };
      await alternate("outbound, light", ownRounds, [
        { variant: "penstock-outbound", shape: runAddedLatency, options: light },
      ]);
    },
  },
  {
    name: "fan-out",
    about: "a hundred events for each of a thousand endpoints: deliveries per second, and the worker's memory",
    long: true,
    async run({ alternate, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds };
      await alternate("fan-out", ownRounds, [{ variant: "penstock-outbound", shape: runFanOut, options }]);
    },
  },
  {
    name: "scale",
    about: "one and two ingest processes, one and two workers",
    long: true,
    async run({ alternate, ownRounds, seconds }) {
      const options = { payloadBytes: SMALL, seconds };
      const variant = "penstock-redis";
      await alternate("scale, intake", ownRounds, [
        { name: "1 ingest", variant, shape: runIntake, options },
        { name: "2 ingests", variant, shape: runIntake, options: { ...options, ingests: 2 } },
      ]);
      await alternate("scale, process", ownRounds, [
        { name: "1 worker", variant, shape: runProcess, options },
        { name: "2 workers", variant, shape: runProcess, options: { ...options, workers: 2 } },
      ]);
    },
  },
  {
    name: "growth",
    about: `intake and processing with ${HISTORY.toLocaleString("en")} stored events, against an empty database`,
    long: true,
    async run({ alternate, ownRounds, seconds, postgres, say }) {
      const database = "bench_grown";
      say(`storing ${HISTORY.toLocaleString("en")} events, which takes some minutes`);
      await createDatabase(postgres, database);
      await fillWithHistory(postgres.urlOf(database), HISTORY);
      const common = { variant: "penstock-redis", options: { payloadBytes: SMALL, seconds } };
      // What the last run of intake left is nothing that a worker should find.
      const prepare = async (stage: Stage): Promise<void> => void (await stage.query("TRUNCATE penstock.pending"));
      const grown = { ...common, name: "grown", database, options: { ...common.options, prepare } };
      for (const [kind, shape] of [
        ["growth, intake", runIntake],
        ["growth, process", runProcess],
      ] as const) {
        await alternate(kind, ownRounds, [
          { ...common, name: "empty", shape },
          { ...grown, shape },
        ]);
      }
      await postgres.admin(`DROP DATABASE ${database} WITH (FORCE)`);
    },
  },
  {
    name: "search",
    about: `how long a search takes with ${HISTORY.toLocaleString("en")} events of one day (quick: ${QUICK_HISTORY.toLocaleString("en")})`,
    async run({ alternate, ownRounds, seconds, postgres, quick, say }) {
      const database = "bench_search";
      const events = quick ? QUICK_HISTORY : HISTORY;
      say(`storing ${events.toLocaleString("en")} events by the statements of intake and worker`);
      await createDatabase(postgres, database);
      await fillWithEvents(postgres.urlOf(database), events);
      const cases = Object.entries(QUERIES).map(([name, query]): Case => ({
        name,
        variant: "penstock-postgres",
        database,
        shape: (stage, _, options) => runSearch(stage, query, events, options),
        options: { payloadBytes: SMALL, seconds },
      }));
      await alternate("search", ownRounds, cases);
      await postgres.admin(`DROP DATABASE ${database} WITH (FORCE)`);
    },
  },
  {
    name: "retention",
    about: `intake while a day of ${HISTORY.toLocaleString("en")} events is deleted (quick: ${QUICK_HISTORY.toLocaleString("en")}), against its normal`,
    async run({ alternate, ownRounds, seconds, quick }) {
      const events = quick ? QUICK_HISTORY : HISTORY;
      const variant = "penstock-postgres";
      // Longer than a day takes to go.
      const options = { payloadBytes: SMALL, seconds: quick ? 3 : 4 * seconds, perSecond: RETENTION_PER_SECOND };
      const goes =
        (waiting: number): Case["shape"] =>
        (stage, one, given) =>
          runBesideRetention(stage, one, given, { events, waiting });
      await alternate("retention", ownRounds, [
        { name: "normal", variant, shape: runIntake, options },
        { name: "a day goes", variant, shape: goes(0), options },
        { name: "a day goes but for a hundredth", variant, shape: goes(100), options },
      ]);
    },
  },
  {
    name: "memory",
    about: `resident memory over ${MEMORY_EVENTS.toLocaleString("en")} events`,
    long: true,
    async run({ alternate, seconds }) {
      const shape: Case["shape"] = (stage, variant, options) =>
        runMemory(stage, variant, { ...options, events: MEMORY_EVENTS });
      await alternate("memory", 1, [{ variant: "penstock-redis", shape, options: { payloadBytes: SMALL, seconds } }]);
    },
  },
];

function intakeCases(variants: readonly string[], payloadBytes: number, seconds: number): Case[] {
  return variants.map((variant) => ({ variant, shape: runIntake, options: { payloadBytes, seconds } }));
}

/** A program that takes what OpenTelemetry sends, and what makes Penstock send it: all metrics, and 1 % of the traces. */
async function startSink(stage: Stage): Promise<Record<string, string>> {
  const { child } = await stage.start({ role: "collector", file: "otlp-sink.ts", env: {} });
  const port = await new Promise<number>((resolve) => {
    child.once("message", (message: { port: number }) => resolve(message.port));
    child.send("where?");
  });
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "0.01",
  };
}

/** A group's cases with a variant that takes part. */
export function chosen(cases: readonly Case[], variants: readonly string[]): Case[] {
  return cases.filter(({ variant }) => variants.length === 0 || variants.includes(variant));
}

/** The variant of a case. @throws when there is none of the name */
export function variantOf({ variant }: Case): Variant {
  const found = VARIANTS[variant];
  if (found === undefined) throw new Error(`no variant is named ${variant}`);
  return found;
}
