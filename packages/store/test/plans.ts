import type { Store } from "@penstock/store";
import { expect } from "vitest";

/** Runs something on one connection, and returns the plans of its statements, as they went, beside what it gave. */
export async function withPlans<T>(
  store: Store,
  work: (alone: Store) => Promise<T>,
): Promise<{ result: T; plans: string[] }> {
  const plans: string[] = [];
  const client = await store.pool.connect();
  const release = client.release.bind(client);
  try {
    await client.query(
      "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; SET client_min_messages = log",
    );
    client.on("notice", ({ message }) => plans.push(message ?? ""));
    client.release = () => undefined;
    const pool = { query: client.query.bind(client), connect: () => Promise.resolve(client) };
    const result = await work({ ...store, pool: pool as unknown as Store["pool"] });
    expect(plans.join("\n")).toContain("Query Text");
    return { result, plans };
  } finally {
    release(true);
  }
}

/** The plans that read a whole table with more than a few rows. */
export function plansThatScan(plans: readonly string[]): string[] {
  return plans.filter((plan) =>
    [...plan.matchAll(/Seq Scan .*\(actual .*rows=([\d.]+)/g)].some(([, rows]) => Number(rows) > 10),
  );
}

/** The most rows that any node of these plans read and left out. */
export function mostRowsLeftOut(plans: readonly string[]): number {
  return Math.max(
    0,
    ...[...plans.join("\n").matchAll(/Rows Removed by Filter: (\d+)/g)].map(([, rows]) => Number(rows)),
  );
}

/** The most rows that any node of these plans really gave. */
export function mostRowsIn(plans: readonly string[]): number {
  return Math.max(...[...plans.join("\n").matchAll(/actual time=\S+ rows=([\d.]+)/g)].map(([, rows]) => Number(rows)));
}
