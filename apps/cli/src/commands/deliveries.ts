import {
  CHANGEABLE,
  changeDeliveries,
  type DeliveryChange,
  type DeliveryFilter,
  type DeliveryRow,
  listDeliveries,
  type Store,
} from "@penstock/store";
import { type Command, Option } from "commander";
import { type CliContext, PENSTOCK } from "../cli-context.ts";
import { CliError, UsageError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { addFilterOptions, type FilterOptions } from "../filter-options.ts";
import { formatDeliveryTable } from "../output/delivery-table.ts";
import { printable } from "../output/printable.ts";
import { wholeNumber } from "../whole-number.ts";

type ListOptions = FilterOptions & { limit: number; json?: true };
type ChangeOptions = FilterOptions & { yes?: true; json?: true };

const PAGE = 1_000;

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
    .description("Shows and repairs deliveries. A delivery is one event for one handler.");

  addFilterOptions(deliveries.command("list"))
    .summary("list deliveries, the newest events' first")
    .description("Lists deliveries, the newest events' first.")
    .addOption(new Option("--limit <n>", "how many at most").argParser(wholeNumber(1, 10_000)).default(20))
    .option("--json", "print one JSON object per delivery")
    .addHelpText(
      "after",
      `\nExamples:\n  ${PENSTOCK} deliveries list --state dead\n  ${PENSTOCK} deliveries list --handler inbox --since 2h`,
    )
    .action(async ({ json, limit, ...filter }: ListOptions) => {
      const rows = await withStore(ctx, (store) => listDeliveries(store, filter, { limit }));
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) return ctx.output.say("No delivery matches.");
      ctx.output.result(formatDeliveryTable(rows, new Date()));
    });

  for (const change of ["retry", "skip", "cancel"] as const) registerChange(deliveries, ctx, change);
}

function registerChange(deliveries: Command, ctx: CliContext, change: DeliveryChange): void {
  const { summary, description, done } = WORDS[change];
  const states = CHANGEABLE[change].join(", ");
  addFilterOptions(deliveries.command(change))
    .argument("[event]", "the event's id, or its seq; without it, all deliveries that match the options")
    .summary(summary)
    .description(`${description} Takes those that are ${states}.`)
    .option("--yes", "really do it, where no event is named")
    .option("--json", "print one JSON object: how many")
    .addHelpText(
      "after",
      `\nExamples:\n  ${PENSTOCK} deliveries ${change} evt_7f3a9b2c\n  ${PENSTOCK} deliveries ${change} --handler inbox --state ${CHANGEABLE[change].at(-1)} --yes`,
    )
    .action(async (event: string | undefined, { yes, json, ...filter }: ChangeOptions) => {
      if (event === undefined && Object.keys(filter).length === 0) {
        throw new UsageError(
          `Name an event, or say which deliveries by options: see \`${PENSTOCK} deliveries ${change} --help\`.`,
        );
      }
      if (event === undefined && !yes) {
        throw new UsageError(
          "This takes all deliveries that match: look at them with `deliveries list` and the same options, then add --yes.",
        );
      }
      const wanted: DeliveryFilter = { ...filter, ...(event !== undefined && { event }) };
      const count = await withStore(ctx, (store) => changeAll(store, ctx, change, wanted));
      if (json) return ctx.output.json({ change, deliveries: count });
      if (count === 0) throw new CliError(await explainNone(ctx, change, wanted));
      ctx.output.result(`${count === 1 ? "1 delivery" : `${count} deliveries`} ${done}`);
    });
}

/** Goes through all that match, page by page, and stops between two pages when it is told to. */
async function changeAll(
  store: Store,
  ctx: CliContext,
  change: DeliveryChange,
  filter: DeliveryFilter,
): Promise<number> {
  let count = 0;
  for (let after: DeliveryRow | undefined; !ctx.stop.aborted;) {
    const page: DeliveryRow[] = await listDeliveries(store, filter, { limit: PAGE, ...(after && { after }) });
    count += (await changeDeliveries(store, change, page)).length;
    after = page.at(-1);
    if (after === undefined || page.length < PAGE) break;
  }
  return count;
}

async function explainNone(ctx: CliContext, change: DeliveryChange, filter: DeliveryFilter): Promise<string> {
  const [found] = await withStore(ctx, (store) => listDeliveries(store, filter, { limit: 1 }));
  if (found === undefined) return "No delivery matches.";
  const what = `${printable(found.subscriber)} of event ${printable(found.eventId ?? String(found.seq))}`;
  return `No delivery was changed: ${what} is ${found.state}, and ${change} takes ${CHANGEABLE[change].join(", ")}.`;
}
