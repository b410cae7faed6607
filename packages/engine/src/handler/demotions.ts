/**
 * How this process runs the events of a transactional handler. The modes, from the first:
 *
 * - In the batch: inside the batch's transaction, which all handlers share.
 * - Together: as deliveries, many in one transaction. A handler that holds up a batch is demoted to this (`add`).
 * - Apart: as deliveries, a transaction for each, some side by side. A handler is demoted to this when a transaction of many was
 *   slow, or was lost by its doing, e.g. a time-out (`separate`), for as many deliveries as that transaction had: the culprit
 *   is among them, or the handler waits more than it works.
 *
 * A handler goes from apart back to together once so many deliveries have run (`ranApart`), and from together back to the batch
 * once a transaction of many did well (`didWell`), or after a minute. So a handler that was slow because of an outage or a
 * busy machine is back in batches as soon as that is over.
 */
export interface Demotions {
  add(handler: string): void;
  /** Whether batches leave the handler out. */
  has(handler: string): boolean;
  /** Whether each delivery of the handler has a transaction of its own. */
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

/** `forMs` is the longest that a demotion lasts; `now` is a monotonic clock. */
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
