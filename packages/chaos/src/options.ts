import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { MUTATIONS, type MutationName } from "./mutations.ts";

export interface Options {
  readonly minutes: number;
  /** Events per second. */
  readonly rate: number;
  readonly seed: number;
  readonly backend: "redis" | "postgres";
  readonly mutation: MutationName | null;
  /** How soon after a fault's end all has to be back to normal. */
  readonly recoverySeconds: number;
  readonly json: boolean;
  /** Only these kinds of faults; empty: all. */
  readonly only: readonly string[];
  /** Folder of the processes' output; null: it is removed. */
  readonly logs: string | null;
}

export const HELP = `npm run chaos -- [options]

Kills, freezes, wipes and cuts off everything that Penstock runs on while a sender sends, and balances the books
at the end. See docs/reliability.md.

  --minutes N       how long faults go on (3)
  --rate N          events per second (50)
  --seed N          the schedule of faults; the same seed has the same schedule (a new one)
  --backend NAME    redis or postgres: what the queue is (redis)
  --recovery N      how soon after the end of a fault all has to be back to normal, in seconds (30)
  --only FAULT      only this kind of fault; may be given again
  --mutate NAME     break a promise of the product's code, in memory only, to see that the books find it:
                    ${Object.keys(MUTATIONS).join(", ")}
  --logs FOLDER     keep the output of all processes there
  --json            print the result as JSON, and nothing else, to standard output
  --help            this text

Everything runs on this machine, on loopback, in the folder for temporary files (TMPDIR), and is removed afterwards.
Exit code 1: a promise was broken.
`;

/** Reads the arguments; null where the help was asked for. @throws in words for whoever typed them */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "3" },
      rate: { type: "string", default: "50" },
      seed: { type: "string", default: String(randomInt(2 ** 32)) },
      backend: { type: "string", default: "redis" },
      recovery: { type: "string", default: "30" },
      mutate: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      logs: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return null;
  const { backend, mutate, json, only, logs } = values;
  const number = (name: "minutes" | "rate" | "recovery"): number => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
    return value;
  };
  const seed = Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new Error("--seed must be a whole number from 0 to 4294967295");
  }
  if (backend !== "redis" && backend !== "postgres") throw new Error("--backend must be redis or postgres");
  if (mutate !== undefined && !isMutation(mutate)) {
    throw new Error(`--mutate must be one of ${Object.keys(MUTATIONS).join(", ")}`);
  }
  return {
    minutes: number("minutes"),
    rate: number("rate"),
    recoverySeconds: number("recovery"),
    seed,
    backend,
    mutation: mutate ?? null,
    json,
    only,
    logs: logs ?? null,
  };
}

const isMutation = (name: string): name is MutationName => Object.hasOwn(MUTATIONS, name);
