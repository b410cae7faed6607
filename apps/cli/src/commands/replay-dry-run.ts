import { dryRun, type DryRunReport } from "@penstock/engine";
import type { Handler, TransactionalHandler } from "@penstock/handler-sdk";
import {
  type EventSummary,
  findHandlerRoles,
  findOfTypes,
  listEffects,
  listEvents,
  rehearse,
  type Store,
} from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError, ReportedFailure, StoppedError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { addFilterOptions, type FilterOptions } from "../filter-options.ts";
import { formatDryRun, formatEffects, formatTotal, type Total } from "../output/dry-run.ts";
import { noEvent } from "../no-match.ts";
import { retentionInStore } from "../operations/retention.ts";
import { printable } from "../output/printable.ts";
import { loadProjectConfig, readProjectSources } from "../project-config.ts";
import { wholeNumber } from "../whole-number.ts";

type Found = Pick<EventSummary, "day" | "seq" | "id" | "type">;
type Options = FilterOptions & { limit: number; json?: true };

export function registerDryRun(replay: Command, ctx: CliContext): void {
  addFilterOptions(replay.command("dry-run"))
    .argument("[event]", "the event's id, or its seq (7, or seq:7); without it, the newest that match the options")
    .summary("show what a handler would do with stored events, and keep nothing of it")
    .description(
      "Runs a transactional handler, as it stands in penstock.config.ts now, for stored events: each in a transaction that is rolled back. Shows the rows that it would insert, update and delete, its statements in order, and its errors. Take care that it does nothing outside of ctx.tx: that could not be rolled back. An effect handler is not run; what it has done already is listed.",
    )
    .addOption(new Option("--limit <n>", "how many events at most").argParser(wholeNumber(1, 1_000)).default(20))
    .option("--json", "print one JSON object per event, and one for the total")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} replay dry-run evt_7f3a9b2c --handler inbox\n  ${ctx.penstock} replay dry-run --handler inbox --state dead --since 2h`,
    )
    .action(async (event: string | undefined, { json, handler: name, ...options }: Options) => {
      const handler = await findHandler(ctx, name);
      await withStore(ctx, async (store) => {
        // One more tells that there are more.
        const found = await findEvents(store, ctx, handler, event, { ...options, limit: options.limit + 1 });
        const events = found.slice(0, options.limit);
        if (events.length === 0) {
          const nothing = `No event that ${handler.name} subscribes to matches. What is in quarantine is taken by its id.`;
          const isKnown = event === undefined || (await listEvents(store, { event, limit: 1 })).length > 0;
          throw new CliError(isKnown ? nothing : await noEvent(ctx, retentionInStore(store, ctx), event));
        }
        if (found.length > events.length) {
          ctx.output.say(`More events match: these are the newest ${events.length}. See --limit, --since and --until.`);
        }
        if (handler.kind === "effect") return tellEffects(store, ctx, handler.name, events, json === true);
        await runAll(store, ctx, handler, events, json === true);
      });
    });
}

async function findHandler(ctx: CliContext, name: string | undefined): Promise<Handler> {
  if (name === undefined) throw new UsageError("Name the handler: --handler <name>.");
  const { handlers } = await loadProjectConfig(ctx);
  const found = handlers.find((handler) => handler.name === name);
  if (found !== undefined) return found;
  const known = handlers.map((handler) => handler.name).join(", ");
  throw new CliError(`There is no handler ${printable(name)} in penstock.config.ts, only ${known}.`);
}

/** With a state, those whose delivery to the handler is in it; else, as a replay takes them, all of the types that it subscribes to. */
async function findEvents(
  store: Store,
  ctx: CliContext,
  handler: Handler,
  event: string | undefined,
  { state, ...filter }: Omit<Options, "json" | "handler">,
): Promise<readonly Found[]> {
  const wanted = { ...filter, ...(event !== undefined && { event }) };
  if (state !== undefined) return listEvents(store, { ...wanted, state, handler: handler.name });
  return findOfTypes(store, { ...wanted, types: handler.on.map(String) }, ctx.stop);
}

async function runAll(
  store: Store,
  ctx: CliContext,
  handler: TransactionalHandler,
  events: readonly Found[],
  json: boolean,
): Promise<void> {
  const { find: findSource } = await readProjectSources(ctx);
  const roles = await findHandlerRoles(store);
  const total: Total = { events: 0, of: events.length, failed: 0, tables: new Map() };
  // Oldest first, as they came.
  for (const event of events.toReversed()) {
    const options = {
      store: { rehearse: <T>(fn: Parameters<typeof rehearse<T>>[1]) => rehearse(store, fn, roles) },
      handler,
    };
    const report = await dryRun({ ...options, findSource, signal: ctx.stop }, event).catch((error: unknown) => {
      if (!ctx.stop.aborted) throw error;
    });
    // What a stop cut off has told nothing.
    if (report === undefined) break;
    add(total, report);
    const { seq, id, type } = event;
    if (json) ctx.output.json({ event: { seq, id, type }, handler: handler.name, ...report });
    else ctx.output.result(`${formatDryRun(event, report)}\n`);
    if (ctx.stop.aborted) break;
  }
  const tables = [...total.tables.values()];
  if (json) ctx.output.json({ total: { ...total, tables } });
  else ctx.output.result(formatTotal(handler.name, total));
  if (total.events < total.of) throw new StoppedError("stopped before all events were tried");
  if (total.failed > 0) throw new ReportedFailure("some would fail");
}

function add(total: Total, { outcome, tables }: DryRunReport): void {
  total.events += 1;
  if (outcome !== "succeeded") total.failed += 1;
  for (const { table, inserted, updated, deleted } of tables) {
    const sum = total.tables.get(table) ?? { table, inserted: 0, updated: 0, deleted: 0 };
    total.tables.set(table, {
      table,
      inserted: sum.inserted + inserted,
      updated: sum.updated + updated,
      deleted: sum.deleted + deleted,
    });
  }
}

async function tellEffects(
  store: Store,
  ctx: CliContext,
  handler: string,
  events: readonly Found[],
  json: boolean,
): Promise<void> {
  ctx.output.say(
    `${handler} is an effect handler: what it does outside cannot be rolled back, so it is not run. What it has done once (ctx.once) a replay would not do again, unless with --again:`,
  );
  for (const { seq, day, id, type } of events.toReversed()) {
    const recorded = await listEffects(store, { day, seq, handler });
    if (json) ctx.output.json({ event: { seq, id, type }, handler, outcome: "not-run", recorded });
    else ctx.output.result(formatEffects({ seq, id }, recorded));
  }
}
