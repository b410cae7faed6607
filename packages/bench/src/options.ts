import { parseArgs } from "node:util";

/** What to measure, and how long. */
export interface Options {
  readonly command: "run" | "report" | "help";
  /** Of the report: the files with the results. */
  readonly files: readonly string[];
  readonly quick: boolean;
  readonly json: string | null;
  readonly only: readonly string[];
  /** Variants that take part; empty: all. */
  readonly variants: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  readonly profile: string | null;
}

export const HELP = `npm run bench -- [options]            measures Penstock and its peers
npm run bench -- report FILE...       writes docs/benchmarks.md and its picture from the results in FILE; what has been
                                      measured again stands in further files

  --quick           in some five minutes; without what takes long
  --json FILE       also writes the results, with every run, to FILE
  --only GROUP      only this group; may be given again. Groups:
GROUPS
  --variant NAME    only these variants; may be given again
  --rounds N        measure each variant so often, in turns (5; quick: 2, and once where no peer takes part)
  --seconds N       measure for so long each time (5; quick: 1)
  --profile FOLDER  write a processor profile of each program to FOLDER (slows everything down)
  --help            this text

Everything runs on this machine, with fsync on, in the folder for temporary files (TMPDIR), and is removed afterwards.
Exit code 1: a run was void, since its books did not balance or it failed.
`;

/** Reads the arguments. @throws in words for whoever typed them */
export function parseOptions(args: readonly string[], groups: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      variant: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      seconds: { type: "string" },
      profile: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [command = "run", ...files] = positionals;
  if (values.help) return { ...NOTHING, command: "help" };
  if (command === "report") {
    if (files.length === 0) throw new Error("report takes files: what --json has written");
    return { ...NOTHING, command, files };
  }
  if (command !== "run" || files.length > 0)
    throw new Error(`what is ${positionals.join(" ")}? See npm run bench -- --help`);
  const unknown = values.only.filter((name) => !groups.includes(name));
  if (unknown.length > 0) throw new Error(`no group is named ${unknown.join(", ")}; there are ${groups.join(", ")}`);
  const number = (name: "rounds" | "seconds", usual: number): number => {
    const value = Number(values[name] ?? usual);
    if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
    return value;
  };
  return {
    ...NOTHING,
    quick: values.quick,
    json: values.json ?? null,
    only: values.only,
    variants: values.variant,
    rounds: Math.ceil(number("rounds", values.quick ? 2 : 5)),
    seconds: number("seconds", values.quick ? 1 : 5),
    profile: values.profile ?? null,
  };
}

const NOTHING: Options = {
  command: "run",
  files: [],
  quick: false,
  json: null,
  only: [],
  variants: [],
  rounds: 0,
  seconds: 0,
  profile: null,
};
