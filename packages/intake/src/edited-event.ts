import { type NamedSource, requestOfBody } from "@penstock/sources";
import type { NewEvent } from "./event-store.ts";
import { toNewEvent } from "./new-event.ts";

/** The event that another body is handled in place of. */
export interface OriginalEvent {
  readonly seq: number;
  readonly id: string | null;
  readonly type: string | null;
  /** ISO 8601. */
  readonly createdAt: string | null;
}

export type EditedEvent =
  | { readonly ok: true; readonly event: NewEvent }
  /** It would only go to quarantine. `detail` names paths and rules, never values. */
  | { readonly ok: false; readonly reason: string; readonly detail: string };

/**
 * The event that another body makes of an event: of the same source, and with an id of its own, so that the ledger knows both.
 * What handlers see as its id is what the body says.
 */
export function toEditedEvent(
  { name, source }: Pick<NamedSource, "name" | "source">,
  original: OriginalEvent,
  { body, replayId }: { readonly body: Buffer; readonly replayId: string },
  nowMs: number,
): EditedEvent {
  const { type } = original;
  const createdAt = original.createdAt === null ? null : new Date(original.createdAt);
  const id = `${original.id ?? `seq ${original.seq}`}#replay-${replayId}`;
  const check = source.check({ body, eventId: id, type, createdAt });
  if (!check.ok) return check;
  // Where type and time stand in headers, they are those of the original.
  const found = source.identify(requestOfBody(body));
  const identity = {
    ...found,
    id,
    type: found.type ?? type,
    createdAt: found.createdAt ?? createdAt,
    problem: null,
  };
  // However old it says that it is: whoever replays it vouches for it.
  return { ok: true, event: toNewEvent({ source: name, identity, body, traceparent: null }, Infinity, nowMs) };
}
