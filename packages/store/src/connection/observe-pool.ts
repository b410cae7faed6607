import { instruments } from "@penstock/telemetry";
import type pg from "pg";

const pools = new Map<"store" | "queue", Set<pg.Pool>>();

/** Adds a pool's connections to the metrics. Pools of one name are summed up; closed pools are left out. */
export function observePool(name: "store" | "queue", pool: pg.Pool): void {
  const siblings = pools.get(name);
  if (siblings !== undefined) {
    // Removed here as well: in an outage pools come and go, and perhaps nobody ever reads the metrics.
    for (const each of siblings) if (each.ending) siblings.delete(each);
    siblings.add(pool);
    return;
  }
  const all = new Set([pool]);
  pools.set(name, all);
  instruments.poolConnections().addCallback((result) => {
    for (const each of all) if (each.ending) all.delete(each);
    const sum = (count: (pool: pg.Pool) => number): number => [...all].reduce((total, each) => total + count(each), 0);
    result.observe(
      sum(({ totalCount, idleCount }) => totalCount - idleCount),
      { pool: name, state: "used" },
    );
    result.observe(
      sum(({ idleCount }) => idleCount),
      { pool: name, state: "idle" },
    );
    result.observe(
      sum(({ waitingCount }) => waitingCount),
      { pool: name, state: "waiting" },
    );
  });
}
