import { parseDuration, parseMoment } from "@penstock/schemas";
import type { DeliveryStateName } from "../deliveries/delivery-filter.ts";
import type { EventPointer } from "../events/find-events.ts";
import type { NewReplay } from "./create-replay.ts";

/** A replay as an operator asks for it: an event by its id or seq, a time as it was typed. */
export interface WantedReplay {
  readonly id: string;
  readonly event?: string;
  readonly source?: string;
  readonly type?: string;
  readonly handler?: string;
  readonly state?: DeliveryStateName;
  readonly subject?: string;
  /** A time, or how long ago, e.g. `2h`. */
  readonly since?: string;
  readonly until?: string;
  /** All that was ever received is meant, where nothing says which. */
  readonly all?: boolean;
  /** The day (UTC) whose archive the events were brought back from. */
  readonly fromArchive?: string;
  readonly among?: NonNullable<NewReplay["among"]>;
  readonly again?: boolean;
  readonly rate?: number;
  readonly reason?: string;
}

/** A replay with what stands on record of the request. How long ago is another time each time that it is asked: it stays as typed. */
export function toNewReplay(
  { event, since, until, among, id, all, ...options }: WantedReplay,
  pointer?: EventPointer,
): NewReplay {
  return {
    ...options,
    ...timesOf({ since, until }, (typed) => parseMoment(typed) ?? undefined),
    id,
    ...(pointer && { event: pointer }),
    ...(among && { among }),
    request: {
      ...options,
      ...(all && { all }),
      ...(event !== undefined && { event }),
      ...(among && { [among]: true }),
      ...timesOf({ since, until }, (typed) =>
        parseDuration(typed) === undefined ? parseMoment(typed)?.toISOString() : typed,
      ),
    },
  };
}

function timesOf<T>(
  { since, until }: { readonly since: string | undefined; readonly until: string | undefined },
  read: (typed: string) => T | undefined,
): { since?: T; until?: T } {
  const [from, to] = [since, until].map((typed) => (typed === undefined ? undefined : read(typed)));
  return { ...(from !== undefined && { since: from }), ...(to !== undefined && { until: to }) };
}
