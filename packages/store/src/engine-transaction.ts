import type { DeliveryResult, EngineTransaction, QuarantineRecord, StoredEvent } from "@penstock/engine";
import { toStorableText } from "@penstock/schemas";
import type pg from "pg";
import { nextReplayPage, settleQuarantined } from "./advance-replay.ts";
import { claimBatch } from "./claim-batch.ts";
import { query } from "./create-store.ts";
import { finishWithin } from "./finish-deliveries.ts";
import { finishDelivery, lockDeliveries } from "./finish-delivery.ts";
import type { HandlerRoles } from "./handler-roles.ts";
import { runBehindSavepoint } from "./handler-savepoint.ts";
import type { ReadRegistered } from "./endpoint-subscriptions.ts";
import { recordDeliveries } from "./record-deliveries.ts";
import { recordEndpointDeliveries } from "./record-endpoint-deliveries.ts";
import { findEffect, recordEffect } from "./record-effect.ts";
import { EVENT_COLUMNS, type EventRow, toStoredEvent } from "./stored-event.ts";

/** The engine's statements on a connection with an open transaction. */
export function createEngineTransaction(
  client: pg.PoolClient,
  workerName: string,
  roles: HandlerRoles,
  readRegistered: ReadRegistered,
): EngineTransaction {
  return {
    claimBatch: (batchId, limits) => claimBatch(client, batchId, limits),
    claimEvent: (event) => claimEvent(client, event),
    async restartTries(seq) {
      await query(client, "UPDATE penstock.pending SET tries = 1 WHERE seq = $1", [seq]);
    },
    async finishEvent(seq) {
      await query(client, "DELETE FROM penstock.pending WHERE seq = $1", [seq]);
    },
    registered: () => readRegistered(client),
    async subscribersOf({ day, seq }) {
      const { rows } = await query<{ subscriber: string }>(
        client,
        "SELECT subscriber FROM penstock.deliveries WHERE day = $1 AND seq = $2",
        [day, seq],
      );
      return rows.map(({ subscriber }) => subscriber);
    },
    savepoint: (schema, fn) => runBehindSavepoint(client, { schema, role: roles.get(schema) }, fn),
    recordDeliveries: (results: readonly DeliveryResult[]) => recordDeliveries(client, workerName, results),
    recordEndpointDeliveries: (deliveries) => recordEndpointDeliveries(client, deliveries),
    recordQuarantine: (records) => recordQuarantine(client, records),
    recordEffect: (delivery, key, json) => recordEffect(client, delivery, key, json),
    findEffect: (delivery, key) => findEffect(client, delivery, key),
    lockDeliveries: (deliveries, maxBytes) => lockDeliveries(client, deliveries, maxBytes),
    finishDeliveries: (finished) => finishWithin(client, workerName, finished),
    finishDelivery: (delivery, result) => finishDelivery(client, workerName, delivery, result),
    nextReplayPage: () => nextReplayPage(client),
    readEvent: (event) => readEvent(client, event),
    settleQuarantined: (replayId, event, verdict) => settleQuarantined(client, replayId, event, verdict),
  };
}

async function claimEvent(client: pg.PoolClient, event: { seq: number; day: string }): Promise<StoredEvent | null> {
  const held = await query(client, "SELECT FROM penstock.pending WHERE seq = $1 FOR UPDATE SKIP LOCKED", [event.seq]);
  return held.rowCount === 0 ? null : readEvent(client, event);
}

/** Reads an event; see EngineTransaction.readEvent. */
export async function readEvent(
  client: pg.PoolClient,
  event: { seq: number; day: string },
): Promise<StoredEvent | null> {
  const { rows } = await query<EventRow>(
    client,
    `SELECT ${EVENT_COLUMNS} FROM penstock.events e WHERE e.day = $1 AND e.seq = $2`,
    [event.day, event.seq],
  );
  return rows[0] === undefined ? null : toStoredEvent(rows[0]);
}

async function recordQuarantine(client: pg.PoolClient, records: readonly QuarantineRecord[]): Promise<void> {
  if (records.length === 0) return;
  await query(
    client,
    `INSERT INTO penstock.quarantine (seq, day, reason, detail)
     SELECT * FROM unnest($1::bigint[], $2::date[], $3::text[], $4::text[])`,
    [
      records.map(({ event }) => event.seq),
      records.map(({ event }) => event.day),
      records.map(({ reason }) => reason),
      // It can name a key of the body.
      records.map(({ detail }) => (detail === null ? null : toStorableText(detail))),
    ],
  );
}
