import type { Keyring } from "@penstock/dispatch/seal";
import { wallClockMs } from "@penstock/schemas";
import type { EventDetail, Store } from "@penstock/store";
import { readArrival } from "@penstock/store";
import { findLiveSecret, findSource, type SourceParts } from "./source-parts.ts";

/** The headers of a request that has an event's exact body, as its provider would sign it now. */
export interface SignedEvent {
  readonly headers: Readonly<Record<string, string>>;
  /** Why it is not signed; null where it is. */
  readonly unsigned: "no-secret" | "provider-signs" | null;
}

/** Headers that were kept come along, as far as the signature still holds with them. */
export async function signEvent(
  store: Store,
  keyring: Keyring,
  sources: SourceParts,
  event: EventDetail,
): Promise<SignedEvent> {
  const { source } = findSource(sources, event.source);
  const arrival = await readArrival(store, event);
  const kept = Object.fromEntries(
    (arrival?.headers ?? []).flatMap(({ name, value }) => (name === "user-agent" ? [] : [[name, value]])),
  );
  const plain = { "content-type": "application/json", ...kept };
  if (source.sign === null) return { headers: plain, unsigned: "provider-signs" };
  const secret = await findLiveSecret(store, keyring, sources, event.source);
  if (secret === null) return { headers: plain, unsigned: "no-secret" };
  const now = wallClockMs();
  const signed = lowerCase(source.sign(event.body, secret, now));
  const url = `/webhooks/${event.source}`;
  const verifies = (headers: Readonly<Record<string, string>>): boolean =>
    source.verify({ header: (name) => headers[name], body: event.body, url }, [secret], now).ok;
  // What a provider signs of its headers cannot be as it was; a type or an id that is not signed should be.
  const whole = { ...plain, ...signed, ...kept };
  return { headers: verifies(whole) ? whole : { ...plain, ...signed }, unsigned: null };
}

const lowerCase = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
