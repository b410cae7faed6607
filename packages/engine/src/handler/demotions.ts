/**
 * How the events of a transactional handler are run, as this process has found to be good:
 *
 * - In the batch: within the transaction of their batch, which all handlers share. At first.
 * - Together: as deliveries of their own, many in one transaction. A handler gets here when it holds up a batch (`add`).
 * - Apart: as deliveries of their own, a transaction for each, some side by side. A handler gets here when a transaction of
 *   many was slow, or lost by its doing, e.g. a time-out (`separate`), for as many deliveries as that one had: the culprit
 *   is among them, or the handler waits more than it works.
 *
 * From apart it goes back to together once that many have been run (`ranApart`), and from there to the batch once a
 * transaction of many did well (`didWell`), or after a minute. So a handler that was slow for reasons that are not its
 * own, such as an outage or a process that got no processor, is back as soon as those are over.
 */
export interface Demotions {
  add(handler: string): void;
  /** Whether the handler is to be left out of batches. */
  has(handler: string): boolean;
  /** Whether each of its deliveries is to be run by itself. */
  isApart(handler: string): boolean;
  separate(handler: string, deliveries: number): void;
  ranApart(handler: string, deliveries: number): void;
  didWell(handler: string): void;
}

interface Demotion {
  readonly until: number;
  /** How many deliveries are still to be run apart. */
  apart: number;
}

/** `forMs` is how long a demotion lasts at most; `now` a clock that nobody sets. */
export function createDemotions(forMs = 60_000, now: () => number = () => performance.now()): Demotions {
  const demoted = new Map<string, Demotion>();
  function demotionOf(handler: string): Demotion | undefined {
    const demotion = demoted.get(handler);
    if (demotion === undefined || demotion.until > now()) return demotion;
    demoted.delete(handler);
    return undefined;
  }
  return {
    add: (handler) => void demoted.set(handler, { until: now() + forMs, apart: demotionOf(handler)?.apart ?? 0 }),
    has: (handler) => demotionOf(handler) !== undefined,
    isApart: (handler) => (demotionOf(handler)?.apart ?? 0) > 0,
    separate: (handler, deliveries) => void demoted.set(handler, { until: now() + forMs, apart: deliveries }),
    ranApart(handler, deliveries) {
      const demotion = demotionOf(handler);
      if (demotion !== undefined) demotion.apart = Math.max(0, demotion.apart - deliveries);
    },
    didWell: (handler) => void demoted.delete(handler),
  };
}
