import { setTimeout as sleep } from "node:timers/promises";
import { wallClockMs } from "@penstock/schemas";
import { withClient } from "@penstock/test-postgres";
import { balance, type Breach, type PromiseName, putRecord, type Stall } from "./books.ts";
import { bringAbout } from "./faults.ts";
import { MUTATIONS } from "./mutations.ts";
import type { Options } from "./options.ts";
import { waitForRecovery, waitUntilDone } from "./recovery.ts";
import { openScene, type Scene, SECRET } from "./scene.ts";
import { type Fault, type FaultKind, kills, schedule } from "./schedule.ts";
import { type ChaosSender, startSender } from "./sender.ts";
import { SIMULATED } from "@penstock/simulator";

/** A fault that was brought about, and how long it took after its end until all was normal. */
export interface Recovery {
  readonly fault: Fault;
  readonly recoveryMs: number;
}

export interface Result {
  readonly sent: number;
  readonly acknowledged: number;
  readonly kills: number;
  readonly outages: number;
  readonly minutes: number;
  readonly recoveries: readonly Recovery[];
  readonly breaches: { readonly [Name in PromiseName]: Breach };
  /** Processes that have ended by themselves, with their exit codes. */
  readonly crashes: readonly string[];
}

/** Faults in which handlers are held up, and how long they may feel it after its end. */
const HOLDS_UP = /frozen|black-hole|slow|locked|lost|half-open|hangs|killed/;
const FELT_FOR_MS = 12_000;

/** Plays a run: faults until the time is up, then the books. @throws when the signal is aborted */
export async function run(options: Options, say: (line: string) => void, signal: AbortSignal): Promise<Result> {
  const { backend, mutation, seed, minutes, rate, logs } = options;
  const only: readonly string[] =
    mutation === null || options.only.length > 0 ? options.only : MUTATIONS[mutation].faults;
  const steps = schedule(seed, backend, only, mutation === null ? undefined : 1);
  say(
    `seed ${seed}, ${backend}, ${minutes} minutes, ${rate} events/s${mutation === null ? "" : `, broken: ${mutation}`}`,
  );
  const scene = await openScene({ backend, mutation, logs });
  try {
    await untilReady(scene, signal);
    const urls = scene.proxies.ingests.map(({ port }) => `http://127.0.0.1:${port}/webhooks/${SIMULATED.source}`);
    const sender = startSender({ urls, secret: SECRET, rate, seed });
    const startedAt = performance.now();
    const recoveries: Recovery[] = [];
    const stalls: Stall[] = [];
    await waitForRecovery(scene, sender, signal);
    while (performance.now() - startedAt < minutes * 60_000) {
      const { value } = steps.next();
      await sleep(value.afterMs, undefined, { signal });
      recoveries.push(...(await play({ scene, sender, stalls, say, signal }, value.faults)));
    }
    const took = (performance.now() - startedAt) / 60_000;
    say("no more faults: what is under way comes to its end");
    signal.throwIfAborted();
    await sender.stop();
    await waitUntilDone(scene);
    const breaches = await withClient(scene.postgres.url, async (client) => {
      await putRecord(client, { sent: sender.sent, heard: scene.outside.heard, stalls });
      return balance(client);
    });
    const killed = recoveries.filter(({ fault }) => kills(fault.kind)).length;
    return {
      sent: sender.sent.length,
      acknowledged: sender.sent.filter(({ acknowledged }) => acknowledged).length,
      kills: killed,
      outages: recoveries.length - killed,
      minutes: Math.round(took * 10) / 10,
      recoveries,
      breaches,
      crashes: [...scene.ingests, ...scene.workers].flatMap(({ name, crashes }) =>
        crashes.map((code) => `${name} ended with ${code}`),
      ),
    };
  } finally {
    await scene.close();
  }
}

interface Play {
  readonly scene: Scene;
  readonly sender: ChaosSender;
  readonly stalls: Stall[];
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Brings the faults of a step about, and waits until all is normal again. */
async function play({ scene, sender, stalls, say, signal }: Play, faults: readonly Fault[]): Promise<Recovery[]> {
  const from = new Date(wallClockMs());
  await Promise.all(faults.map((fault) => bringAbout(scene, sender, fault)));
  if (faults.some(({ kind }) => HOLDS_UP.test(kind))) stalls.push({ from, to: new Date(wallClockMs() + FELT_FOR_MS) });
  const { recoveryMs, last } = await waitForRecovery(scene, sender, signal);
  const names = faults.map(({ kind, which, lastsMs }) =>
    [kind, which, lastsMs > 0 ? `${lastsMs} ms` : ""].join(" ").trim(),
  );
  say(
    `${names.join(" + ")}: normal after ${(recoveryMs / 1_000).toFixed(1)} s${recoveryMs > 3_000 ? ` (${last})` : ""}`,
  );
  return faults.map((fault) => ({ fault, recoveryMs }));
}

async function untilReady({ ingests, workers }: Scene, signal: AbortSignal): Promise<void> {
  const processes = [...ingests, ...workers];
  const until = performance.now() + 120_000;
  while (!processes.every((process) => process.isReady())) {
    signal.throwIfAborted();
    if (performance.now() > until) throw new Error("the processes did not start within 120 s: see --logs");
    await sleep(100);
  }
}

/** Recovery times by kind of fault, in seconds: how many, median, and most. */
export function byKind(
  recoveries: readonly Recovery[],
): { kind: FaultKind; count: number; median: number; most: number }[] {
  const groups = Map.groupBy(recoveries, ({ fault }) => fault.kind);
  return [...groups]
    .map(([kind, of]) => {
      const seconds = of.map(({ recoveryMs }) => recoveryMs / 1_000).toSorted((a, b) => a - b);
      return { kind, count: of.length, median: seconds[Math.floor(of.length / 2)] ?? 0, most: seconds.at(-1) ?? 0 };
    })
    .toSorted((a, b) => a.kind.localeCompare(b.kind));
}
