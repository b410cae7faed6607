import type { DeliveryResult, EngineTransaction, QuarantineRecord } from "@penstock/engine";
import { toStorableText } from "@penstock/schemas";
import type pg from "pg";
import { nextReplayPage, settleQuarantined } from "../replay/advance-replay.ts";
import { query } from "../connection/create-store.ts";
import { finishWithin } from "../deliveries/finish-deliveries.ts";
import { lockDeliveries } from "../deliveries/lock-deliveries.ts";
import type { HandlerRoles } from "../handlers/handler-roles.ts";
import { runBehindSavepoint } from "../handlers/handler-savepoint.ts";
import type { ReadRegistered } from "../handlers/endpoint-subscriptions.ts";
import type { RecentWords } from "../search/record-words.ts";
import { recordDeliveries } from "../deliveries/record-deliveries.ts";
import { recordEndpointDeliveries } from "../endpoints/record-endpoint-deliveries.ts";
import { findEffect, recordEffect } from "../deliveries/record-effect.ts";
import { readEvent } from "../events/read-events.ts";
import { takeBatches } from "../events/record-events.ts";
import { sql, statement } from "../connection/sql.ts";
import type { TransactionControl } from "../connection/transaction.ts";

interface Workplace {
  readonly workerName: string;
  readonly roles: HandlerRoles;
  readonly readRegistered: ReadRegistered;
  readonly words: RecentWords;
}

/** The engine's statements in a transaction on one connection. */
export function createEngineTransaction(
  client: pg.PoolClient,
  { begun, atCommit, afterCommit }: TransactionControl,
  { workerName, roles, readRegistered, words }: Workplace,
): EngineTransaction {
  return {
    claimBatches: (claim) => takeBatches(client, claim, { begun, afterCommit, words }),
    registered: () => readRegistered(client),
    async savepoint(schema, fn) {
      await begun;
      return runBehindSavepoint(client, { schema, role: roles.get(schema) }, fn);
    },
    recordAtCommit(results: readonly DeliveryResult[], quarantine: readonly QuarantineRecord[]) {
      atCommit(() =>
        Promise.all([recordQuarantine(client, quarantine), recordDeliveries(client, workerName, results)]),
      );
    },
    recordEndpointDeliveries: (deliveries) => recordEndpointDeliveries(client, deliveries),
    async recordEffect(delivery, key, json) {
      await begun;
      return recordEffect(client, delivery, key, json);
    },
    findEffect: (delivery, key) => findEffect(client, delivery, key),
    async lockDeliveries(deliveries, maxBytes) {
      const locked = await lockDeliveries(client, deliveries, maxBytes);
      await begun;
      return locked;
    },
    finishDeliveries: async (finished) =>
      (await finishWithin(client, workerName, finished)).map(({ delivery }) => delivery),
    async nextReplayPage() {
      await begun;
      return nextReplayPage(client);
    },
    readEvent: (event) => readEvent(client, event),
    settleQuarantined: (replayId, event, verdict) => settleQuarantined(client, replayId, event, verdict),
  };
}

const QUARANTINE = statement({
  text: sql`
    INSERT INTO penstock.quarantine (seq, day, reason, detail)
    SELECT * FROM unnest(${{ seqs: "int8[]", days: "date[]", reasons: "text[]", details: "text[]" }})`,
});

async function recordQuarantine(client: pg.PoolClient, records: readonly QuarantineRecord[]): Promise<void> {
  if (records.length === 0) return;
  await query(client, QUARANTINE, {
    seqs: records.map(({ event }) => event.seq),
    days: records.map(({ event }) => event.day),
    reasons: records.map(({ reason }) => reason),
    // A detail can quote a key of the body.
    details: records.map(({ detail }) => (detail === null ? null : toStorableText(detail))),
  });
}
