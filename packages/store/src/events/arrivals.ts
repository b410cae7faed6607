import type { Arrival, NewEvent } from "@penstock/intake";

/**
 * How the requests of a batch came, as it stands in `batches.arrivals`: each text once, and a row of places for each event,
 * since requests of one sender differ in little, and this is written before the sender is answered.
 */
interface PackedArrivals {
  /** Names of headers: a source's each. */
  readonly names: readonly (readonly string[])[];
  readonly texts: readonly string[];
  /**
   * For each event the place of its names, the place of its secret's fingerprint, places of its values in the order of the
   * names, -1 for what is not there, and the age of the signature where that is known; 0 where nothing is kept.
   */
  readonly events: readonly (readonly number[] | 0)[];
}

/** A header that was kept, and what verified the request. */
export interface ShownArrival {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** The fingerprint of the secret that verified the request. */
  readonly secret: string | null;
  /** How old the signature was; null where it covers no time. */
  readonly signatureAgeMs: number | null;
}

/** Null where nothing is kept of any event. */
export function packArrivals(events: readonly Pick<NewEvent, "arrival">[]): string | null {
  if (!events.some(({ arrival }) => arrival)) return null;
  const names: (readonly string[])[] = [];
  const texts: string[] = [];
  const places = new Map<string, number>();
  const placeOf = (text: string | null | undefined, before: number): number => {
    if (text === null || text === undefined) return -1;
    // Mostly as in the event before: to compare costs less than to look up.
    if (texts[before] === text) return before;
    const known = places.get(text);
    if (known !== undefined) return known;
    places.set(text, texts.length);
    return texts.push(text) - 1;
  };
  let last: readonly number[] = [];
  const packOne = ({ names: own, values, secret, signatureAgeMs }: Arrival): readonly number[] => {
    let kind = names.indexOf(own);
    if (kind === -1) kind = names.push(own) - 1;
    const row = [kind, placeOf(secret, last[1] ?? -1)];
    for (let at = 0; at < own.length; at++) row.push(placeOf(values[at], last[at + 2] ?? -1));
    if (signatureAgeMs !== null) row.push(Math.round(signatureAgeMs));
    last = row;
    return row;
  };
  const rows = events.map(({ arrival }) => (arrival ? packOne(arrival) : 0));
  return JSON.stringify({ names, texts, events: rows } satisfies PackedArrivals);
}

/** How the event at this place of a batch came; null where nothing was kept. */
export function unpackArrival(text: string | null, place: number): ShownArrival | null {
  if (text === null) return null;
  const { names, texts, events } = JSON.parse(text) as PackedArrivals;
  const row = events[place] ?? 0;
  if (row === 0) return null;
  const [kind = 0, secret = -1, ...rest] = row;
  const own = names[kind] ?? [];
  return {
    headers: own.flatMap((name, at) => {
      const value = texts[rest[at] ?? -1];
      return value === undefined ? [] : [{ name, value }];
    }),
    secret: texts[secret] ?? null,
    signatureAgeMs: rest[own.length] ?? null,
  };
}

/** The same without how the events at these places came; `takeOut` cleans the headers of the others. */
export function eraseArrivals(
  text: string | null,
  places: ReadonlySet<number>,
  takeOut: (text: string) => string,
): string | null {
  if (text === null) return null;
  const { names, texts, events } = JSON.parse(text) as PackedArrivals;
  const rows = events.map((row, place) => (places.has(place) ? 0 : row));
  if (rows.every((row) => row === 0)) return null;
  const isUsed = (at: number): boolean =>
    rows.some((row) => row !== 0 && row.slice(1, 2 + (names[row[0] ?? 0]?.length ?? 0)).includes(at));
  const kept = texts.map((one, at) => (isUsed(at) ? takeOut(one) : ""));
  return JSON.stringify({ names, texts: kept, events: rows } satisfies PackedArrivals);
}
