import type { AnyEvent } from "@penstock/handler-sdk";
import type { Transaction } from "kysely";
import { factsOf } from "./facts.ts";
import { foldFacts } from "./merge-facts.ts";
import { TABLES } from "./tables.ts";
import { writeFacts } from "./write-facts.ts";

/**
 * Writes what events say into the tables, with a few statements for each table however many events there are. The outcome
 * is the same in whatever order, in whatever groups and however often events are applied.
 */
export async function applyEvents(events: readonly AnyEvent[], tx: Transaction<unknown>): Promise<void> {
  const facts = events.flatMap(factsOf);
  for (const table of TABLES) {
    const ofTable = facts.filter((fact) => fact.table === table);
    if (ofTable.length > 0) await writeFacts(tx, table, foldFacts(ofTable));
  }
}
