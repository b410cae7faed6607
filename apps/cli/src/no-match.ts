import { isEndpointId } from "@penstock/schemas";
import { listEndpoints, listEvents, listHandlers, type DeliveryFilter, type Store } from "@penstock/store";
import { PENSTOCK } from "./cli-context.ts";
import { printable } from "./output/printable.ts";

export const noEvent = (id: string): string => `There is no event ${printable(id)}: see \`${PENSTOCK} events list\`.`;

export const noHandler = (name: string): string =>
  `There is no handler ${printable(name)}: see \`${PENSTOCK} handlers list\`. Workers register theirs when they start.`;

export const noEndpoint = (id: string): string =>
  `There is no endpoint ${printable(id)}: see \`${PENSTOCK} endpoints list\`.`;

/** Why nothing matches: a name that nobody knows, else what the caller says. */
export async function explainNoMatch(
  store: Store,
  { event, handler }: Pick<DeliveryFilter, "event" | "handler">,
  otherwise: string,
): Promise<string> {
  if (event !== undefined && (await listEvents(store, { event, limit: 1 })).length === 0) return noEvent(event);
  if (handler !== undefined && isEndpointId(handler)) {
    return (await listEndpoints(store, { id: handler })).length === 0 ? noEndpoint(handler) : otherwise;
  }
  if (handler !== undefined && !(await listHandlers(store)).some(({ name }) => name === handler)) {
    return noHandler(handler);
  }
  return otherwise;
}
