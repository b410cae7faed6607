import { isEndpointId } from "@penstock/schemas";
import { listEndpoints, listEvents, listHandlers, type DeliveryFilter, type Store } from "@penstock/store";
import type { CliContext } from "./cli-context.ts";
import { printable } from "./output/printable.ts";

type Command = Pick<CliContext, "penstock">;

export const noEvent = (ctx: Command, id: string): string =>
  `There is no event ${printable(id)}: see \`${ctx.penstock} events list\`.`;

export const noHandler = (ctx: Command, name: string): string =>
  `There is no handler ${printable(name)}: see \`${ctx.penstock} handlers list\`. Workers register theirs when they start.`;

export const noEndpoint = (ctx: Command, id: string): string =>
  `There is no endpoint ${printable(id)}: see \`${ctx.penstock} endpoints list\`.`;

/** Why nothing matches: a name that nobody knows, else what the caller says. */
export async function explainNoMatch(
  ctx: Command,
  store: Store,
  { event, handler }: Pick<DeliveryFilter, "event" | "handler">,
  otherwise: string,
): Promise<string> {
  if (event !== undefined && (await listEvents(store, { event, limit: 1 })).length === 0) return noEvent(ctx, event);
  if (handler !== undefined && isEndpointId(handler)) {
    return (await listEndpoints(store, { id: handler })).length === 0 ? noEndpoint(ctx, handler) : otherwise;
  }
  if (handler !== undefined && !(await listHandlers(store)).some(({ name }) => name === handler)) {
    return noHandler(ctx, handler);
  }
  return otherwise;
}
