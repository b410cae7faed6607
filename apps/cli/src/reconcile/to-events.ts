import { type Arrival, type NewEvent, toNewEvent } from "@penstock/intake";
import { wallClockMs } from "@penstock/schemas";
import type { NamedSource, SentRequest, SignedRequest } from "@penstock/sources";

/** Tells on the event's page that nobody has sent it here. */
const FETCHED_BY = "penstock-fetched-by";

/**
 * The events of a request that was fetched, as ingest would have read them. Its provider's API vouches for it in place of a signature.
 */
export function toFetchedEvents(
  { name, source }: NamedSource,
  { headers, body }: SentRequest,
  { actor, windowDays }: { readonly actor: string; readonly windowDays: number },
): NewEvent[] {
  const request: SignedRequest = { header: (wanted) => headers[wanted], body, url: "" };
  const names = [FETCHED_BY, ...source.keptHeaders];
  const arrival: Arrival = {
    names,
    values: [actor, ...source.keptHeaders.map((header) => headers[header])],
    secret: null,
    signatureAgeMs: null,
  };
  return (source.split?.(request) ?? [body]).map((part) => {
    const identity = source.identify({ ...request, body: part });
    // An API does not give the bytes that were sent, or will be: with the same id it is the same event.
    return toNewEvent(
      { source: name, identity, body: part, bodyVaries: true, traceparent: null, arrival },
      windowDays,
      wallClockMs(),
    );
  });
}
