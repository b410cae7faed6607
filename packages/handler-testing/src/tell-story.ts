import type { SentEvent } from "./make-event.ts";
import type { DeliveryStory, EffectStory } from "./read-story.ts";

/** A line of a handler's log, as it was written. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly eventId?: string; readonly level: string };

/** All there is to tell. */
export interface Story {
  readonly sent: readonly SentEvent[];
  readonly deliveries: readonly DeliveryStory[];
  readonly quarantine: readonly { readonly event: string; readonly reason: string; readonly detail: string | null }[];
  readonly effects: readonly EffectStory[];
  readonly log: readonly LogLine[];
  readonly tables: readonly { readonly name: string; readonly rows: readonly Record<string, unknown>[] }[];
  readonly elapsedMs: number;
}

const MOST_ROWS = 20;
/** Fields of a log line that the story tells otherwise, or that tell nothing. */
const TOLD = new Set(["eventId", "level", "msg", "service", "pid", "time", "seq", "handler", "attempt"]);

/** The story as text: what was sent, each try and its error, what was done once, what was logged, the rows. */
export function tellStory(story: Story): string {
  const ids = new Set([...story.sent.map(({ id }) => id), ...story.deliveries.map(({ event }) => event)]);
  const lines = [`The story so far${story.elapsedMs > 0 ? `, ${describeMs(story.elapsedMs)} on` : ""}:`];
  if (ids.size === 0) lines.push("nothing was sent");
  for (const id of ids) lines.push(...tellEvent(story, id));
  for (const { name, rows } of story.tables) {
    lines.push(`${name}: ${rows.length === 0 ? "no rows" : rows.length === 1 ? "1 row" : `${rows.length} rows`}`);
    lines.push(...rows.slice(0, MOST_ROWS).map((row) => `  ${JSON.stringify(row)}`));
    if (rows.length > MOST_ROWS) lines.push(`  … and ${rows.length - MOST_ROWS} more`);
  }
  return lines.join("\n");
}

function tellEvent(story: Story, id: string): string[] {
  const sent = story.sent.filter((one) => one.id === id);
  const deliveries = story.deliveries.filter(({ event }) => event === id);
  const quarantine = story.quarantine.filter(({ event }) => event === id);
  const lines = [`${sent[0]?.type ?? deliveries[0]?.type ?? ""} ${id}`];
  for (const { createdAt } of sent) lines.push(`  sent, created ${createdAt.toISOString()}`);
  for (const { reason, detail } of quarantine)
    lines.push(`  quarantined: ${reason}${detail === null ? "" : `, ${detail}`}`);
  for (const delivery of deliveries) {
    lines.push(`  ${describe(delivery)}`);
    for (const { attempt, outcome, error } of delivery.tries) {
      lines.push(`    try ${attempt} ${outcome}${error === null ? "" : `: ${error.replaceAll("\n", "\n      ")}`}`);
    }
    for (const { handler, key, result } of story.effects.filter(({ event }) => event === id)) {
      if (handler === delivery.handler) lines.push(`    once ${JSON.stringify(key)}: ${JSON.stringify(result)}`);
    }
  }
  if (deliveries.length + quarantine.length === 0) lines.push("  no handler has had it (was `settle` called?)");
  for (const line of story.log) {
    // What the engine says of a try that failed is told above.
    if (line.eventId !== id || "errorClass" in line) continue;
    const fields = Object.entries(line).filter(([name]) => !TOLD.has(name));
    lines.push(`  log ${line.level}: ${String(line["msg"])} ${JSON.stringify(Object.fromEntries(fields))}`);
  }
  return lines;
}

function describe({ handler, state, attempts, retryInMs, lane, skipReason }: DeliveryStory): string {
  const tries = attempts === 0 ? "" : attempts === 1 ? " after 1 try" : ` after ${attempts} tries`;
  const next = retryInMs === null ? "" : `, tried again in ${describeMs(retryInMs)}`;
  const why = skipReason === null ? "" : ` (${skipReason})`;
  return `${handler}: ${state}${why}${tries}${next}${lane === null ? "" : `, in lane ${lane}`}`;
}

function describeMs(ms: number): string {
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1_000],
  ] as const) {
    if (ms >= size) return `${Math.round((ms / size) * 10) / 10} ${unit}`;
  }
  return `${ms} ms`;
}
