import { type EventDetail, type EventFilter, type EventSummary, toTerms } from "@penstock/store";
import { type Command, Option } from "commander";
import type { CliContext } from "../cli-context.ts";
import { CliError } from "../cli-error.ts";
import { explainNoMatch, noEvent } from "../no-match.ts";
import { addListOptions, type ListOptions } from "../filter-options.ts";
import { withOperations } from "../operations/with-operations.ts";
import { decodeUtf8 } from "../output/body-text.ts";
import { formatEventDetail, traceIdOf } from "../output/event-detail.ts";
import { formatEventTable } from "../output/event-table.ts";
import { readQuery } from "../read-query.ts";
import { findRetryLimits } from "../retry-limits.ts";

type EventListOptions = ListOptions & Pick<EventFilter, "status"> & { id?: string };

const STATUSES: readonly EventSummary["status"][] = ["pending", "processed", "quarantined"];

export function registerEvents(program: Command, ctx: CliContext): void {
  const events = program
    .command("events")
    .summary("what has been received and what became of it")
    .description("Shows what has been received and what became of it.");

  addListOptions(events.command("list").argument("[query]", "which ones, as in the console; see below"), "event")
    .summary("list events, the newest first")
    .description(
      "Lists events, the newest first, and what each handler made of them. Options are terms of the query, too: --type x is type:x.",
    )
    .addOption(
      new Option(
        "--status <status>",
        "only with this status; processed: each handler has its delivery, done or not",
      ).choices(STATUSES),
    )
    .option("--id <id>", "only with this id")
    .addHelpText("after", describeQueries(ctx))
    .action(async (text: string | undefined, { json, id, limit, ...options }: EventListOptions) => {
      const filter: EventFilter = { ...options, ...(id !== undefined && { event: id }) };
      const asked = readQuery(text ?? "");
      const terms = [...asked, ...toTerms(filter)];
      const { page, why } = await withOperations(ctx, async (operations) => {
        const page = await operations.searchEvents({ terms, limit });
        return {
          page,
          why: page.items.length === 0 ? await explainNoMatch(ctx, operations, filter, "No event matches.") : "",
        };
      });
      const rows = page.items;
      if (json) return rows.forEach((row) => ctx.output.json(row));
      if (rows.length === 0) {
        const more =
          page.bodiesSince === null ? "" : " Bodies of the last day were searched: add age<7d to go further back.";
        return ctx.output.say(
          terms.length > 0 ? why + more : `No events yet: send one with \`${ctx.penstock} send message.received\`.`,
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
    .option("--reveal", "show the fields that the source calls sensitive, too; that is on record")
    .option("--json", "print one JSON object per event; the body as text, or in base64 where it is not UTF-8")
    .addHelpText(
      "after",
      `\nExamples:\n  ${ctx.penstock} events show evt_7f3a9b2c\n  ${ctx.penstock} events show 12 --json`,
    )
    .action(async (id: string, { json, reveal }: { json?: true; reveal?: true }) => {
      const found = await withOperations(ctx, async (operations) => {
        const found = await operations.showEvents(id, reveal);
        if (found.length === 0) throw new CliError(await noEvent(ctx, operations, id));
        return found;
      });
      if (json) return found.forEach((event) => ctx.output.json(toJson(event)));
      const limits = await findRetryLimits(
        ctx,
        found.flatMap(({ deliveries }) => deliveries),
      );
      ctx.output.result(found.map((event) => formatEventDetail(event, new Date(), limits)).join("\n\n"));
    });
}

const describeQueries = (ctx: CliContext): string => `
A query: type:message.*  source:shop-eu  handler:inbox  state:dead  status:quarantined  subject:cnt_1  id:evt_1
  data.contactId=cnt_1 (a value in the body)  "free text" (whole words in the body)  age<2h  after:2026-01-01T00:00Z
  before:2026-02-01; a - in front leaves out. A key given twice means either. Bodies are searched for the last day unless
  the query says a time.

Examples:
  ${ctx.penstock} events list --status quarantined
  ${ctx.penstock} events list 'type:message.* state:dead age<2h'
  npm run --silent penstock -- events list --json | jq .id`;

function toJson({ body, ...event }: EventDetail): object {
  const text = decodeUtf8(body);
  return {
    ...event,
    traceId: traceIdOf(event.traceparent),
    bodyEncoding: text === null ? "base64" : "utf8",
    body: text ?? Buffer.from(body).toString("base64"),
  };
}
