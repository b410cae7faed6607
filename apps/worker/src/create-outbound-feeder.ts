import type { EndpointQueue } from "@penstock/queue";
import { findDueEndpoints, type Store } from "@penstock/store";
import { newTrace, withSpan } from "@penstock/telemetry";
import { type Bell, createBell } from "./repeat.ts";

/** How often all endpoints are looked at: for retries that are due, and for what a crash or the queue has lost. */
const LOOK_AT_ALL_MS = 1_000;

/** Keeps the queue of endpoints supplied with those for which something is due. */
export interface OutboundFeeder {
  readonly bell: Bell;
  feed(): Promise<void>;
  /** Something may be due for these. */
  kick(endpoints: readonly string[]): void;
}

/** Wires a feeder. An endpoint has one job, under its own id, so however many workers add it, one at a time runs it. */
export function createOutboundFeeder(store: Store, queue: EndpointQueue): OutboundFeeder {
  const bell = createBell();
  let kicked = new Set<string>();
  let lookAtAllAt = 0;
  return {
    bell,
    async feed() {
      const some = [...kicked];
      kicked = new Set();
      const all = performance.now() >= lookAtAllAt;
      if (!all && some.length === 0) return;
      try {
        const due = await findDueEndpoints(store, all ? null : some);
        if (due.length > 0) {
          const span = { parent: newTrace, attributes: { "penstock.endpoints": due.length } };
          await withSpan("feed endpoints", span, () => queue.add(due));
        }
        if (all) lookAtAllAt = performance.now() + LOOK_AT_ALL_MS;
      } catch (error) {
        for (const id of some) kicked.add(id);
        throw error;
      }
    },
    kick(endpoints) {
      for (const id of endpoints) kicked.add(id);
      if (endpoints.length > 0) bell.ring();
    },
  };
}
