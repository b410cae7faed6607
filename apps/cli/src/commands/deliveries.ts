import { isEndpointId } from "@penstock/schemas";
import {
  CHANGEABLE,
  type DeliveryChange,
  type DeliveryDetail,
  type DeliveryRow,
  type DeliveryFilter,
  type EndpointRow,
} from "@penstock/store";
import type { Command } from "commander";
import { assertAllChanged, describeChanges, leftOf } from "../change-all.ts";
import type { CliContext } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { explainNoMatch, findEvent, noEvent } from "../no-match.ts";
import { addFilterOptions, addListOptions, type FilterOptions, type ListOptions } from "../filter-options.ts";
import { type Operations, withOperations } from "../operations/with-operations.ts";
import { formatDeliveryDetail } from "../output/delivery-detail.ts";
import { formatDeliveryTable } from "../output/delivery-table.ts";
import { traceIdOf } from "../output/event-detail.ts";
import { describeStatus } from "../output/event-table.ts";
import { printable } from "../output/printable.ts";
import { findRetryLimits } from "../retry-limits.ts";

type ChangeOptions = FilterOptions & { yes?: true; json?: true };

const WORDS: Readonly<
  Record<DeliveryChange, { readonly summary: string; readonly description: string; done: string }>
> = {
  retry: {
    summary: "try dead and other deliveries again, now",
    description:
      "Has deliveries run again now, with all their tries, as if they were new. What they have done stays: a handler sees the same idempotency key.",
    done: "to be tried again",
  },
  skip: {
    summary: "have deliveries count as done, without running them",
    description: "Marks deliveries as skipped: they are not run, and nothing waits for them any more.",
    done: "skipped",
  },
  cancel: {
    summary: "give up deliveries that wait",
    description: "Gives up deliveries that wait for their turn or their next try. What runs is left alone.",
    done: "cancelled",
  },
};

export function registerDeliveries(program: Command, ctx: CliContext): void {
  const deliveries = program
    .command("deliveries")
    .summary("events by handler: which succeeded, wait, fail, are dead")
    .description("Shows and repairs deliveries. A delivery is one event for one handler or endpoint.");

  addListOptions(deliveries.command("list"), "delivery")
    .summary("list deliveries, the newest events' first")
    .description("Lists deliveries, the newest events' first.")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} deliveries list --state dead\n  ${ctx.penstock} deliveries list --handler inbox --since 2h`,
    )
    .action(async ({ json, limit, ...filter }: ListOptions) => {
      const { rows, why } = await withOperations(ctx, async (operations) => {
        const rows = await operations.listDeliveries(filter, { limit });
        return {
          rows,
          why: rows.length === 0 ? await explainNoMatch(ctx, operations, filter, "No delivery matches.") : "",
        };
      });
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say(why);
      ctx.output.result(formatDeliveryTable(rows, new Date()));
    });

  deliveries
    .command("show")
    .argument("<event>", "the event's id, or its seq (7, or seq:7)")
    .argument("[handler]", "the handler's name or the endpoint's id; all of them without it")
    .summary("show all of a delivery: each try, its error and its trace")
    .description(
      "Shows all of a delivery: its state, when it is tried next or what it waits for, each try with its error and its trace, and what operators did in between.",
    )
    .option("--json", "print one JSON object per delivery")
    .addHelpText("after", `\nExample:\n  ${ctx.penstock} deliveries show evt_7f3a9b2c inbox`)
    .action(async (event: string, handler: string | undefined, { json }: { json?: true }) => {
      const wanted = { event, ...(handler !== undefined && { handler }) };
      const { found, endpoints } = await withOperations(ctx, async (operations) => {
        const shown = await operations.showDeliveries(wanted);
        if (shown.length === 0) throw new CliError(await explainMissing(ctx, operations, wanted));
        return {
          found: shown,
          endpoints: json ? new Map<string, EndpointRow>() : await endpointsOf(operations, shown),
        };
      });
      if (json) return found.forEach((delivery) => ctx.output.json(withTraceIds(delivery)));
      const limits = await findRetryLimits(ctx, found);
      ctx.output.result(
        found
          .map((one) => formatDeliveryDetail(ctx, one, new Date(), limits, endpoints.get(one.subscriber)))
          .join("\n\n"),
      );
    });

  for (const change of ["retry", "skip", "cancel"] as const) registerChange(deliveries, ctx, change);
}

function registerChange(deliveries: Command, ctx: CliContext, change: DeliveryChange): void {
  const { summary, description, done } = WORDS[change];
  const states = CHANGEABLE[change].join(", ");
  addFilterOptions(deliveries.command(change), CHANGEABLE[change])
    .argument("[event]", "the event's id, or its seq (7, or seq:7); without it, all deliveries that match the options")
    .argument("[handler]", "the handler's name or the endpoint's id, as --handler")
    .summary(summary)
    .description(`${description} Takes those that are ${states}.`)
    .option("--yes", "really do it, where no event is named")
    .option("--json", "print one JSON object: how many")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} deliveries ${change} evt_7f3a9b2c\n  ${ctx.penstock} deliveries ${change} --handler inbox --state ${CHANGEABLE[change].at(-1)} --yes`,
    )
    .action(async (event: string | undefined, named: string | undefined, options: ChangeOptions) => {
      const { yes, json, ...others } = options;
      if (named !== undefined && others.handler !== undefined) {
        throw new UsageError("Name the handler once: behind the event, or with --handler.");
      }
      const filter = { ...others, ...(named !== undefined && { handler: named }) };
      if (event === undefined && Object.keys(filter).length === 0) {
        throw new UsageError(
          `Name an event, or say which deliveries by options: see \`${ctx.penstock} deliveries ${change} --help\`.`,
        );
      }
      if (event === undefined && !yes) {
        throw new UsageError(
          "This takes all deliveries that match: look at them with `deliveries list` and the same options, then add --yes.",
        );
      }
      const wanted: DeliveryFilter = { ...filter, ...(event !== undefined && { event }) };
      const changes = await withOperations(ctx, async (operations) => {
        const { changed, left } = await operations.changeDeliveries(change, wanted);
        if (changed + left === 0) throw new CliError(await explainNone(ctx, operations, change, wanted));
        return { changed, left };
      });
      if (json) ctx.output.json({ change, deliveries: changes.changed, ...leftOf(changes) });
      else ctx.output.result(`${describeChanges(changes)} ${done}`);
      assertAllChanged(ctx, changes, "The others are as before: the same command takes them.");
    });
}

/** Of how many deliveries that cannot be changed is said why. */
const TOLD = 10;

/** The endpoints among the subscribers, by id. */
async function endpointsOf(operations: Operations, shown: readonly DeliveryRow[]): Promise<Map<string, EndpointRow>> {
  const endpoints = new Map<string, EndpointRow>();
  for (const id of new Set(shown.map(({ subscriber }) => subscriber).filter(isEndpointId))) {
    const row = await operations.findEndpoint(id);
    if (row !== undefined) endpoints.set(id, row);
  }
  return endpoints;
}

/** The trace of each try and of the event, as their viewers want them. */
function withTraceIds({ attemptLog, ...delivery }: DeliveryDetail): object {
  return {
    ...delivery,
    traceId: traceIdOf(delivery.traceparent),
    attemptLog: attemptLog.map((attempt) => ({ ...attempt, traceId: traceIdOf(attempt.traceparent) })),
  };
}

async function explainMissing(
  ctx: CliContext,
  operations: Operations,
  wanted: { event: string; handler?: string },
): Promise<string> {
  const { event, handler } = wanted;
  const found = await findEvent(operations, event);
  if (found === undefined) return noEvent(ctx, operations, event);
  const name = printable(event);
  if (found.status !== "processed") return `Event ${name} has no delivery: it is ${describeStatus(found)}.`;
  const who = handler === undefined ? "No handler subscribed" : `${printable(handler)} did not subscribe`;
  return explainNoMatch(ctx, operations, wanted, `${who} to the type of event ${name} when it came.`);
}

async function explainNone(
  ctx: CliContext,
  operations: Operations,
  change: DeliveryChange,
  filter: DeliveryFilter,
): Promise<string> {
  const { state: _, ...whatever } = filter;
  const found = await operations.listDeliveries(filter.event === undefined ? filter : whatever, { limit: TOLD });
  const [first] = found;
  if (first === undefined) return explainNoMatch(ctx, operations, filter, "No delivery matches.");
  const endpoints = await endpointsOf(operations, found);
  const isGone = ({ subscriber }: DeliveryRow): boolean => isEndpointId(subscriber) && !endpoints.has(subscriber);
  const ran = found.find((row) => CHANGEABLE[change].includes(row.state) && !isGone(row));
  if (ran !== undefined) return `No delivery was changed: ${printable(ran.subscriber)} was running. Try it again now.`;
  const states = found.map((row) => {
    const held = row.heldBy !== null && row.state === "pending" ? ` and held back, since that is ${row.heldBy}` : "";
    return `${printable(row.subscriber)} ${isGone(row) ? "was deleted" : `is ${row.state}${held}`}`;
  });
  const of = filter.event === undefined ? "" : ` of event ${printable(first.eventId ?? String(first.seq))}`;
  return `No delivery${of} was changed: ${states.join(", ")}, and ${change} takes ${filter.state ?? CHANGEABLE[change].join(", ")}.`;
}
