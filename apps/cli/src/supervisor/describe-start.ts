import { relative } from "node:path";
import type { CliContext } from "../cli-context.ts";
import { formatColumns } from "../output/columns.ts";
import { formatDuration } from "../output/duration.ts";
import { formatBytes } from "../output/format-bytes.ts";
import { maskSecret } from "../output/mask.ts";
import { printable } from "../output/printable.ts";

/** What a start that is ready has to tell. */
export interface StartedFacts {
  readonly tookMs: number;
  /** One for each source. */
  readonly webhooks: readonly string[];
  readonly ingestUrl: string;
  /** Opens the console and signs in, once. */
  readonly consoleLink: string;
  /** Of the source whose secret `start` makes; none where it is not listed. */
  readonly secrets: readonly string[];
  readonly database: "embedded" | "external";
  readonly queue: "postgres" | "redis";
  /** Why the queue does not work; null when it does. */
  readonly queueTrouble: string | null;
  readonly handlers: readonly string[];
  /** How long events are kept. */
  readonly retention: { readonly days: number; readonly bytes: number | null };
  /** Where ingest and worker serve their metrics. */
  readonly metrics: readonly string[];
  readonly logs: string;
  readonly root: string;
}

function describeRetention({ days, bytes }: StartedFacts["retention"]): string {
  return `kept for ${days} days${bytes === null ? "" : `, ${formatBytes(bytes)} at most`}`;
}

/** The lines that tell where all is and what to type next. */
export function describeStart(ctx: CliContext, facts: StartedFacts): string {
  const { webhooks, secrets, database, queue, queueTrouble, handlers } = facts;
  const [secret] = secrets;
  const others = secrets.length > 1 ? ` and ${secrets.length - 1} more` : "";
  const rows = [
    ["console", facts.consoleLink],
    ...webhooks.map((url, at) => [at === 0 ? (webhooks.length > 1 ? "webhooks" : "webhook") : "", url]),
    ...(secret === undefined ? [] : [["secret", `${maskSecret(secret)}${others}`, `${ctx.penstock} secret show`]]),
    ["health", `${facts.ingestUrl}/readyz`],
    ["database", database === "embedded" ? "embedded Postgres" : "DATABASE_URL", `${ctx.penstock} db url`],
    ["queue", `BullMQ on ${queue === "redis" ? "Redis" : "Postgres"}${queueTrouble === null ? "" : ", DOES NOT WORK"}`],
    ["handlers", handlers.join(", ") || "none"],
    ["events", describeRetention(facts.retention), `${ctx.penstock} retention plan`],
    ["metrics", facts.metrics.join("  ")],
    ["logs", describeFolder(facts.root, facts.logs)],
  ];
  // The commands stand in a column of their own, which must not be as far right as the longest address.
  const width = Math.max(...rows.map(([, value = "", command]) => (command === undefined ? 0 : value.length)));
  const lines = rows.map(([name = "", value = "", command]) => [
    name,
    command === undefined ? value : `${value.padEnd(width)}  ${command}`,
  ]);
  return [
    `Penstock ${ctx.version} is ready${queueTrouble === null ? "" : ", but its queue does not work"} (${formatDuration(facts.tookMs)})`,
    formatColumns(lines).replace(/^/gm, "  "),
    ...(queueTrouble === null
      ? []
      : [
          `${printable(queueTrouble)}.\nUntil it works, events are accepted and kept in Postgres, and no handler runs.`,
        ]),
    `Next, in another terminal:\n  ${secret === undefined ? `${ctx.penstock} sources list` : `${ctx.penstock} send message.received`}`,
    "Ctrl-C stops everything.",
  ].join("\n\n");
}

/** Relative to the project when it is inside. */
function describeFolder(root: string, folder: string): string {
  const path = relative(root, folder);
  return path.startsWith("..") ? folder : path;
}
