import { type EventDetail, type EventFilter, type EventSummary, listEvents, showEvents } from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { withStore } from "../database.ts";
import { explainNoMatch, noEvent } from "../no-match.ts";
import { addListOptions, type ListOptions } from "../filter-options.ts";
import { decodeUtf8 } from "../output/body-text.ts";
import { formatEventDetail, traceIdOf } from "../output/event-detail.ts";
import { formatEventTable } from "../output/event-table.ts";
import { findRetryLimits } from "../retry-limits.ts";

type EventListOptions = ListOptions & Pick<EventFilter, "status"> & { id?: string };

const STATUSES: readonly EventSummary["status"][] = ["pending", "processed", "quarantined"];

export function registerEvents(program: Command, ctx: CliContext): void {
  const events = program
    .command("events")
    .summary("what has been received and what became of it")
    .description("Shows what has been received and what became of it.");

  addListOptions(events.command("list"), "event")
    .summary("list events, the newest first")
    .description("Lists events, the newest first, and what each handler made of them.")
    .addOption(
      new Option(
        "--status <status>",
        "only with this status; processed: each handler has its delivery, done or not",
      ).choices(STATUSES),
    )
    .option("--id <id>", "only with this id")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} events list --status quarantined\n  npm run --silent penstock -- events list --json | jq .id`,
    )
    .action(async ({ json, id, ...options }: EventListOptions) => {
      const filter: EventFilter = { ...options, ...(id !== undefined && { event: id }) };
      const { rows, why } = await withStore(ctx, async (store) => {
        const rows = await listEvents(store, filter);
        return { rows, why: rows.length === 0 ? await explainNoMatch(ctx, store, filter, "No event matches.") : "" };
      });
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) {
        return ctx.output.say(
          Object.keys(filter).length > 1
            ? why
            : `No events yet: send one with \`${ctx.penstock} send message.received\`.`,
        );
      }
      const limits = await findRetryLimits(
        ctx,
        rows.flatMap(({ deliveries }) => deliveries),
      );
      ctx.output.result(formatEventTable(rows, new Date(), limits));
    });

  events
    .command("show")
    .argument("<id>", "the event's id, or its seq (7, or seq:7)")
    .summary("show all of an event")
    .description(
      "Shows all of an event: every attempt of every handler, and the body. An id can stand for several events when the same id came with different bodies: all are shown.",
    )
    .option("--json", "print one JSON object per event; the body as text, or in base64 where it is not UTF-8")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} events show evt_7f3a9b2c\n  ${ctx.penstock} events show 12 --json`,
    )
    .action(async (id: string, { json }: { json?: true }) => {
      const found = await withStore(ctx, (store) => showEvents(store, id));
      if (found.length === 0) throw new CliError(noEvent(ctx, id));
      if (json) return found.forEach((event) => ctx.output.json(toJson(event)));
      const limits = await findRetryLimits(
        ctx,
        found.flatMap(({ deliveries }) => deliveries),
      );
      ctx.output.result(found.map((event) => formatEventDetail(event, new Date(), limits)).join("\n\n"));
    });
}

function toJson({ body, ...event }: EventDetail): object {
  const text = decodeUtf8(body);
  return {
    ...event,
    traceId: traceIdOf(event.traceparent),
    bodyEncoding: text === null ? "base64" : "utf8",
    body: text ?? Buffer.from(body).toString("base64"),
  };
}
