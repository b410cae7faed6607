import type { DeliveryQueue } from "@penstock/queue";
import { type DueDelivery, findDueDeliveries, type Store } from "@penstock/store";
import { newTrace, withSpan } from "@penstock/telemetry";
import { createBell, type Bell } from "./repeat.ts";

/** The most deliveries of one handler that have a job at once; the rest waits in its table. */
const WINDOW = 500;
/** How long a job is taken to be there once it was added, in milliseconds: the queue may have lost it. */
const ADD_AGAIN_MS = 5_000;

/** Keeps the queue of one effect handler supplied with what is due. */
export interface Feeder {
  /** Rings when it should feed before its time. */
  readonly bell: Bell;
  /** Adds jobs for what has been due for longest and has none. */
  feed(): Promise<void>;
  /** Deliveries were recorded that are due at once. */
  kick(): void;
  /** A consumer of this process has taken the job of a delivery. */
  taken(seq: number): void;
}

/**
 * Wires a feeder. All workers look at the same deliveries in the same order, and a delivery's job has the same id
 * wherever it is added, so however many workers there are, a handler has no more than a window of jobs.
 */
export function createFeeder(store: Store, queue: DeliveryQueue, handler: string): Feeder {
  const bell = createBell();
  const added = new Map<number, { readonly id: string; readonly at: number }>();
  let full = false;
  let takenSince = 0;
  return {
    bell,
    async feed() {
      takenSince = 0;
      const due = await findDueDeliveries(store, handler, WINDOW);
      full = due.length === WINDOW;
      const now = performance.now();
      const isKnown = ({ seq, id }: { seq: number; id: string }): boolean => {
        const known = added.get(seq);
        return known !== undefined && known.id === id && now - known.at < ADD_AGAIN_MS;
      };
      const jobs = due.map((delivery) => ({ ...delivery, id: toJobId(delivery) }));
      const missing = jobs.filter((job) => !isKnown(job));
      const inWindow = new Set(due.map(({ seq }) => seq));
      for (const seq of added.keys()) if (!inWindow.has(seq)) added.delete(seq);
      if (missing.length === 0) return;
      const pointers = missing.map(({ id, day, seq, interrupted }) => ({
        id,
        delivery: { day, seq, subscriber: handler, interrupted },
      }));
      // A trace of its own: whatever was active when this began has nothing to do with it.
      await withSpan("feed deliveries", { parent: newTrace, attributes: { "penstock.handler": handler } }, () =>
        queue.add(pointers),
      );
      for (const { seq, id } of missing) added.set(seq, { id, at: now });
    },
    kick() {
      // Behind a full window it is not their turn yet.
      if (!full) bell.ring();
    },
    taken(seq) {
      added.delete(seq);
      if (full && ++takenSince >= WINDOW / 2) bell.ring();
    },
  };
}

/**
 * One that waits or runs is not added twice; the next try of a delivery, a later generation, or its lane woken again, has
 * another id.
 */
function toJobId({ seq, attempts, generation, woken }: DueDelivery): string {
  return `${seq}-${attempts}-${generation}${woken === null ? "" : `-${woken}`}`;
}
