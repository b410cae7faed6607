import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeAbandonedServers } from "@penstock/test-postgres";
import { profiling, ROOT } from "@penstock/testing/servers";
import { figuresOf, nest, type Run } from "./figures.ts";
import { type Case, chosen, GROUPS, variantOf } from "./groups.ts";
import { describeMachine } from "./machine.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import {
  describeFigures,
  describeRun,
  measuredAgain,
  replaceMeasured,
  type Results,
  toMarkdown,
  toSvg,
} from "./report.ts";
import { CONNECTIONS, type Measures } from "./run.ts";
import { clearStage, onStage, startPostgres } from "./stage.ts";

const say = (text: string): void => console.log(text);

/** Runs the groups and returns whether no run was void. */
async function bench(options: Options): Promise<boolean> {
  const { quick, rounds, seconds } = options;
  const startedAt = new Date();
  if (options.profile !== null) {
    mkdirSync(options.profile, { recursive: true });
    profiling.folder = options.profile;
  }
  await removeAbandonedServers();
  const postgres = await startPostgres();
  closeAtEnd.push(() => postgres.remove());
  const machine = await describeMachine(postgres);
  for (const [name, value] of Object.entries(machine)) say(`${name.padEnd(12)} ${value}`);
  say(`${"settings".padEnd(12)} ${rounds} round(s) of ${seconds} s, ${CONNECTIONS} connections, loopback\n`);

  const ownRounds = quick ? 1 : rounds;
  const runs: Run[] = [];
  async function alternate(kind: string, times: number, cases: readonly Case[]): Promise<void> {
    const taking = chosen(cases, options.variants);
    for (let round = 1; round <= times; round++) {
      for (const one of taking) {
        const variant = variantOf(one);
        const { database } = one;
        const { flushesRedis } = variant;
        const measures = await onStage(postgres, { database, flushesRedis }, (stage) =>
          one.shape(stage, variant, one.options),
        ).catch((error: unknown) => failed(error));
        const { payloadBytes } = one.options;
        const run = { kind, name: one.name ?? one.variant, variant: one.variant, payloadBytes, round, ...measures };
        runs.push(run);
        say(describeRun(run));
      }
    }
  }
  const rates = (kind: string, name: string): number[] =>
    runs
      .filter((run) => run.kind === kind && run.name === name && run.problems.length === 0)
      .map((run) => run.perSecond);
  for (const group of GROUPS) {
    const wanted = options.only.length > 0 ? options.only.includes(group.name) : !(quick && group.long);
    if (wanted) await group.run({ postgres, quick, rounds, ownRounds, seconds, alternate, rates, say });
  }

  const figures = figuresOf(runs);
  const tookSeconds = (Date.now() - startedAt.getTime()) / 1000;
  say(`\n${describeFigures(figures)}\n`);
  const voided = runs.filter(({ problems }) => problems.length > 0);
  say(`${runs.length} runs in ${Math.round(tookSeconds)} s, ${voided.length} void`);
  if (options.json !== null) {
    const settings = { quick, rounds, seconds, connections: CONNECTIONS };
    const results: Results = { startedAt: startedAt.toISOString(), tookSeconds, settings, machine, figures, runs };
    writeFileSync(options.json, `${JSON.stringify({ ...nest(figures), ...results }, null, 2)}\n`);
  }
  return runs.length > 0 && voided.length === 0;
}

/** A run that failed, in the place of what it should have measured. */
function failed(error: unknown): Measures {
  const books = {
    sent: 0,
    acknowledged: 0,
    refused: 0,
    timedOut: 0,
    stored: null,
    ledger: null,
    effects: null,
    handlers: 0,
  };
  const problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  return { perSecond: 0, events: 0, seconds: 0, cpuUsPerEvent: {}, rssMiB: {}, books, problems };
}

/** Puts the results of files into docs/benchmarks.md and its picture. What a later one has measured goes before. */
function report(files: readonly string[]): void {
  const results = files.map((file) => JSON.parse(readFileSync(file, "utf8")) as Results).reduce(measuredAgain);
  const page = join(ROOT, "docs/benchmarks.md");
  writeFileSync(page, replaceMeasured(readFileSync(page, "utf8"), toMarkdown(results)));
  writeFileSync(join(ROOT, "docs/benchmarks.svg"), toSvg(results));
  say("docs/benchmarks.md and docs/benchmarks.svg are written");
}

const closeAtEnd: (() => Promise<void>)[] = [];
let closing: Promise<void> | undefined;

/** Ends all that was started, once: a second signal waits for the same end. */
function close(): Promise<void> {
  closing ??= (async () => {
    await clearStage();
    for (let end = closeAtEnd.pop(); end; end = closeAtEnd.pop()) await end();
  })();
  return closing;
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.on(signal, () => void close().finally(() => process.exit(code)));
}

try {
  const names = GROUPS.map(({ name }) => name);
  const options = parseOptions(process.argv.slice(2), names);
  if (options.command === "help") {
    const groups = GROUPS.map(
      ({ name, about, long }) => `    ${name.padEnd(12)} ${about}${long ? " (not with --quick)" : ""}`,
    );
    say(HELP.replace("GROUPS", groups.join("\n")));
  } else if (options.command === "report") {
    report(options.files);
  } else {
    process.exitCode = (await bench(options)) ? 0 : 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await close();
}
