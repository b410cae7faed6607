import { type Figure, figuresOf, isReached, type Run } from "./figures.ts";
import type { Facts } from "./machine.ts";
import { median } from "./statistics.ts";

/** All that a benchmark found, as `--json` writes it; the figures also stand at its top, nested. */
export interface Results {
  readonly startedAt: string;
  readonly tookSeconds: number;
  readonly settings: {
    readonly quick: boolean;
    readonly rounds: number;
    readonly seconds: number;
    readonly connections: number;
  };
  readonly machine: Facts;
  readonly figures: readonly Figure[];
  readonly runs: readonly Run[];
  /** What stands here in place of an earlier measurement; see {@link measuredAgain}. */
  readonly again?: readonly Again[];
}

interface Again extends Pick<Results, "settings"> {
  readonly kinds: readonly string[];
}

/** Results in which what was measured again stands in place of what was measured first. */
export function measuredAgain(first: Results, later: Results): Results {
  const kinds = [...new Set(later.runs.map(({ kind }) => kind))];
  const runs = [...new Set([...first.runs, ...later.runs].map(({ kind }) => kind))].flatMap((kind) =>
    (kinds.includes(kind) ? later : first).runs.filter((run) => run.kind === kind),
  );
  const tookSeconds = first.tookSeconds + later.tookSeconds;
  const again = [...(first.again ?? []), { kinds, settings: later.settings }];
  return { ...first, tookSeconds, runs, figures: figuresOf(runs), again };
}

function describeAgain(again: readonly Again[]): string {
  return again
    .map(
      ({ kinds, settings }) =>
        ` Measured again: ${kinds.join(", ")}, ${settings.rounds} rounds of ${settings.seconds} s.`,
    )
    .join("");
}

const NAMES: Readonly<Record<string, string>> = {
  limit: "Express, stores nothing (the limit)",
  idiomatic: "Express + BullMQ, by the manuals",
  "penstock-redis": "Penstock, queue on Redis",
  "penstock-postgres": "Penstock, Postgres alone",
  "penstock-plain": "Penstock, an event at a time",
  bullmq: "BullMQ, a transaction per job",
  graphile: "graphile-worker, a job per event",
  "express-graphile": "Express + graphile-worker, a job per request",
  "graphile-batch": "graphile-worker, ready-made batches (a bound)",
  "penstock-outbound": "Penstock, deliveries to an endpoint",
  undici: "undici with an HMAC, stores nothing",
  pgboss: "pg-boss, a transaction per job",
  "express-pgboss": "Express + pg-boss, a job per request",
  "pgboss-batch": "pg-boss, batches of 200",
};

const titleOf = (name: string): string => NAMES[name] ?? name;

/** A number in as many digits as it is worth. */
function format(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(value < 10 ? 2 : 1);
}

/** A line about a run, for the terminal. */
export function describeRun(run: Run): string {
  const cpu = Object.entries(run.cpuUsPerEvent)
    .filter(([, value]) => value >= 0.5)
    .map(([role, value]) => `${role} ${Math.round(value)}`);
  const parts = [`${format(run.perSecond).padStart(7)}/s`];
  if (run.p99Ms !== undefined) parts.push(`p50 ${format(run.p50Ms ?? 0)} p99 ${format(run.p99Ms)} ms`);
  if (run.toEffect) parts.push(`to the effect p50 ${format(run.toEffect.p50Ms)} p99 ${format(run.toEffect.p99Ms)} ms`);
  if (run.bytesPerEvent) {
    const { wal, tables } = run.bytesPerEvent;
    parts.push(`bytes: WAL ${format(wal)}, tables ${format(tables)}`);
  }
  parts.push(`CPU µs: ${cpu.join(", ")}`);
  if (run.problems.length > 0) parts.push(`VOID: ${run.problems.join("; ")}`);
  return `${run.kind.padEnd(17)} ${run.name.padEnd(26)} ${parts.join("  ")}`;
}

/** The rows of a table of figures. */
function figureRows(figures: readonly Figure[]): string[][] {
  return figures.map((figure) => {
    const { key, what, value, range, target } = figure;
    const wanted = target === undefined ? "" : "atLeast" in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`;
    const reached = isReached(figure);
    return [
      key,
      what,
      `${format(value)}`,
      `${format(range[0])} – ${format(range[1])}`,
      wanted,
      reached === null ? "" : reached ? "yes" : "no",
    ];
  });
}

const FIGURE_HEAD = ["figure", "what", "measured", "range", "target", "reached"];

/** The table of figures, for the terminal. */
export function describeFigures(figures: readonly Figure[]): string {
  const rows = [FIGURE_HEAD, ...figureRows(figures)].map(([key = "", , ...rest]) => [key, ...rest]);
  const widths = columnWidths(rows);
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** The kinds of run whose rates are shown, with a title. */
const CHARTS = [
  ["intake", "Taking in: acknowledged events per second"],
  ["process", "Processing: events per second"],
  ["end to end", "End to end: events per second"],
] as const;

/** Median rate and processor time of each case of a kind, the fastest first. */
function ranking(runs: readonly Run[], kind: string): { name: string; rate: number; runs: Run[] }[] {
  const valid = runs.filter((run) => run.kind === kind && run.problems.length === 0);
  return [...new Set(valid.map(({ name }) => name))]
    .map((name) => {
      const own = valid.filter((run) => run.name === name);
      return { name, rate: median(own.map(({ perSecond }) => perSecond)), runs: own };
    })
    .toSorted((a, b) => b.rate - a.rate);
}

/** The measured part of docs/benchmarks.md. */
export function toMarkdown(results: Results): string {
  const { machine, settings, startedAt, tookSeconds, runs, figures, again } = results;
  const sections = [
    `Measured on ${startedAt.slice(0, 10)} in ${Math.round(tookSeconds / 60)} minutes: ${settings.rounds} rounds, ${settings.seconds} s each.${describeAgain(again ?? [])}`,
    Object.entries(machine)
      .map(([name, value]) => `- ${name}: ${value}`)
      .join("\n"),
    "![Events per second](benchmarks.svg)",
    table(
      FIGURE_HEAD.map((name) => name),
      figureRows(figures).map(([key, ...rest]) => [`\`${key}\``, ...rest]),
    ),
    "Rates per second, median and range, and processor time in microseconds per event:",
  ];
  for (const kind of new Set(runs.map((run) => run.kind))) {
    const ranked = ranking(runs, kind);
    const roles = [...new Set(ranked.flatMap((one) => one.runs.flatMap((run) => Object.keys(run.cpuUsPerEvent))))];
    const hasP99 = ranked.some((one) => one.runs.some(({ p99Ms }) => p99Ms !== undefined));
    const rows = ranked.map(({ name, rate, runs: own }) => {
      const rates = own.map(({ perSecond }) => perSecond);
      return [
        titleOf(name),
        format(rate),
        `${format(Math.min(...rates))} – ${format(Math.max(...rates))}`,
        ...(hasP99 ? [format(median(own.map(({ p99Ms }) => p99Ms ?? Number.NaN)))] : []),
        ...roles.map((role) => format(median(own.map((run) => run.cpuUsPerEvent[role] ?? 0)))),
      ];
    });
    if (rows.length === 0) continue;
    sections.push(`### ${kind}`, table(["", "per second", "range", ...(hasP99 ? ["p99, ms"] : []), ...roles], rows));
  }
  return sections.join("\n\n");
}

function columnWidths(rows: readonly (readonly string[])[]): number[] {
  return (rows[0] ?? []).map((_, at) => Math.max(3, ...rows.map((row) => row[at]?.length ?? 0)));
}

/** As Prettier would write it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columnWidths([head, ...rows]);
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n");
}

const BAR = { height: 22, gap: 8, left: 320, width: 440 };

/** Bars of the rates, as an SVG that can be read on a light page and on a dark one. */
export function toSvg({ runs }: Pick<Results, "runs">): string {
  const parts: string[] = [];
  let y = 10;
  for (const [kind, title] of CHARTS) {
    const ranked = ranking(runs, kind);
    if (ranked.length === 0) continue;
    const most = Math.max(...ranked.map(({ rate }) => rate));
    parts.push(`<text class="title" x="10" y="${y + 16}">${title}</text>`);
    y += 30;
    for (const { name, rate } of ranked) {
      const width = Math.max(1, Math.round((rate / most) * BAR.width));
      const middle = y + BAR.height / 2 + 5;
      parts.push(
        `<text class="name" x="${BAR.left - 10}" y="${middle}">${escapeXml(titleOf(name))}</text>`,
        `<rect class="${name.startsWith("penstock") ? "ours" : "peer"}" x="${BAR.left}" y="${y}" width="${width}" height="${BAR.height}" rx="3"/>`,
        `<text class="rate" x="${BAR.left + width + 8}" y="${middle}">${format(rate)}</text>`,
      );
      y += BAR.height + BAR.gap;
    }
    y += 18;
  }
  const width = BAR.left + BAR.width + 80;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="Events per second of Penstock and its peers">
  <style>
    text { font: 14px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 15px }
    .name { text-anchor: end }
    .ours { fill: #1f6feb }
    .peer { fill: #8c959f }
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #58a6ff } .peer { fill: #6e7681 } }
  </style>
  ${parts.join("\n  ")}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

const BEGIN = "<!-- measured: written by `npm run bench -- report` -->";
const END = "<!-- /measured -->";

/** A page with what stands between its two marks replaced. @throws when they are not there */
export function replaceMeasured(page: string, measured: string): string {
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (before === -1 || after < before) throw new Error(`the page has no marks ${BEGIN} and ${END}`);
  return `${page.slice(0, before)}${BEGIN}\n\n${measured}\n\n${page.slice(after)}`;
}
