import { removeAbandonedServers } from "@penstock/test-postgres";
import { killAbandonedRedis, killPrograms } from "@penstock/testing/servers";
import { HELP, parseOptions } from "./options.ts";
import { byKind, type Result, run } from "./run.ts";

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // The second one: at once, and the next run tidies up.
    if (stopping.signal.aborted) void killPrograms().finally(() => process.exit(1));
    stopping.abort();
  });
}

/** What is wrong with a run, in words. */
function problemsOf({ breaches, recoveries }: Result, recoverySeconds: number): string[] {
  const broken = Object.entries(breaches).flatMap(([name, { count, examples }]) =>
    count === 0 ? [] : [`${count} ${name}: ${examples.join("; ")}`],
  );
  const slow = recoveries
    .filter(({ recoveryMs }) => recoveryMs > recoverySeconds * 1_000)
    .map(
      ({ fault, recoveryMs }) =>
        `not back to normal within ${recoverySeconds} s of ${fault.kind}: ${(recoveryMs / 1_000).toFixed(1)} s`,
    );
  return [...broken, ...slow];
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === null) console.log(HELP);
  else {
    const say = (line: string): void => (options.json ? console.error(line) : console.log(line));
    await removeAbandonedServers(killAbandonedRedis);
    const result = await run(options, say, stopping.signal);
    const { acknowledged, sent, breaches, kills, outages, minutes, crashes } = result;
    say("\nfault                             times   median   most (s until all was normal)");
    for (const { kind, count, median, most } of byKind(result.recoveries)) {
      say(
        `${kind.padEnd(32)} ${String(count).padStart(6)} ${median.toFixed(1).padStart(8)} ${most.toFixed(1).padStart(6)}`,
      );
    }
    const problems = problemsOf(result, options.recoverySeconds);
    say(
      `\n${sent} events sent, ${acknowledged} acknowledged; ${kills} kills and ${outages} outages in ${minutes} minutes`,
    );
    for (const crash of crashes) say(crash);
    for (const problem of problems) say(`✗ ${problem}`);
    say(problems.length === 0 ? "✓ every promise was kept" : "");
    if (options.json) {
      const { lost, doubled, outOfOrder, stuck } = breaches;
      const numbers = { lost: lost.count, doubled: doubled.count, outOfOrder: outOfOrder.count, stuck: stuck.count };
      console.log(JSON.stringify({ acked: acknowledged, ...numbers, kills, outages, minutes, seed: options.seed }));
    }
    process.exitCode = problems.length === 0 && sent > 0 ? 0 : 1;
  }
} catch (error) {
  console.error(stopping.signal.aborted ? "stopped before the end" : error instanceof Error ? error.message : error);
  // What the sender has under way would be tried again for a while.
  process.exit(1);
}
