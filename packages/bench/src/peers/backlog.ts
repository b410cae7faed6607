import { eventBody, type EventSeries } from "../events.ts";
import type { Event } from "./effect.ts";

/** The backlog that a peer is to put into its queue, in lots of a thousand, as its arguments say. */
export function* backlog(): Generator<Event[]> {
  const { events, ...series } = JSON.parse(process.argv[3] ?? "") as EventSeries & { events: number };
  for (let from = 0; from < events; from += 1000) {
    yield Array.from(
      { length: Math.min(1000, events - from) },
      (_, at) => JSON.parse(eventBody(series, from + at)) as Event,
    );
  }
}
