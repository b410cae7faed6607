import { isEndpointId } from "@penstock/schemas";
import { type DeliveryFilter, type EventSummary, toTerms } from "@penstock/store";
import type { CliContext } from "./cli-context.ts";
import type { Operations } from "./operations/with-operations.ts";
import { printable } from "./output/printable.ts";

type Command = Pick<CliContext, "penstock">;

/** That there is no event with this id or seq; where one was there and has been deleted, when and why. */
export async function noEvent(ctx: Command, { findGone }: Pick<Operations, "findGone">, id: string): Promise<string> {
  const gone = await findGone(id);
  if (gone === null) return `There is no event ${printable(id)}: see \`${ctx.penstock} events list\`.`;
  const { day, wentAt, lastWentAt, why } = gone;
  const first = wentAt.slice(0, 10);
  const last = lastWentAt.slice(0, 10);
  const when = first === last ? `on ${last}` : `between ${first} and ${last}`;
  const reason = why === "age" ? "its term was over" : "Penstock had taken more than RETENTION_BYTES";
  return `Event ${printable(id)} is gone: it was received on ${day} and deleted ${when}, since ${reason}. Terms: \`${ctx.penstock} retention plan\`.`;
}

export const noHandler = (ctx: Command, name: string): string =>
  `There is no handler ${printable(name)}: see \`${ctx.penstock} handlers list\`. Workers register theirs when they start.`;

export const noEndpoint = (ctx: Command, id: string): string =>
  `There is no endpoint ${printable(id)}: see \`${ctx.penstock} endpoints list\`.`;

/** Why nothing matches: a name that nobody knows, else what the caller says. */
export async function explainNoMatch(
  ctx: Command,
  operations: Pick<Operations, "searchEvents" | "findEndpoint" | "findHandler" | "findGone">,
  { event, handler }: Pick<DeliveryFilter, "event" | "handler">,
  otherwise: string,
): Promise<string> {
  if (event !== undefined && (await findEvent(operations, event)) === undefined) return noEvent(ctx, operations, event);
  if (handler !== undefined && isEndpointId(handler)) {
    return (await operations.findEndpoint(handler)) === undefined ? noEndpoint(ctx, handler) : otherwise;
  }
  if (handler !== undefined && (await operations.findHandler(handler)) === undefined) {
    return noHandler(ctx, handler);
  }
  return otherwise;
}

/** The newest event with this id, or the one with this seq. */
export async function findEvent(
  { searchEvents }: Pick<Operations, "searchEvents">,
  event: string,
): Promise<EventSummary | undefined> {
  return (await searchEvents({ terms: toTerms({ event }), limit: 1 })).items[0];
}
