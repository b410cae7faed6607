import type { EngineStore } from "@penstock/engine";
import { claimDeliveries } from "../deliveries/claim-deliveries.ts";
import { claimForOutside } from "../deliveries/claim-for-outside.ts";
import { claimLanes } from "../deliveries/claim-lanes.ts";
import type { Store } from "../connection/create-store.ts";
import { createEngineTransaction } from "./engine-transaction.ts";
import { releaseEndpoint, disableEndpoint, saveEndpointHealth, leaseEndpoint } from "../endpoints/endpoint-health.ts";
import { createRegisteredReader } from "../handlers/endpoint-subscriptions.ts";
import { finishDeliveries } from "../deliveries/finish-deliveries.ts";
import type { HandlerRoles } from "../handlers/handler-roles.ts";
import {
  isInterruptedDue,
  reclaimDeliveries,
  releaseClaim,
  releaseDeliveries,
} from "../deliveries/reclaim-deliveries.ts";
import { recordEffect } from "../deliveries/record-effect.ts";
import { createRecentWords } from "../search/record-words.ts";
import { registerHandlers } from "../handlers/registered-handlers.ts";
import { eagerTransaction } from "../connection/transaction.ts";

/** The engine's statements, and what a worker has to do beside. */
interface WorkerStore extends EngineStore {
  /** Writes the filters of words of events that were recorded since. Until then, a search looks at each of these. */
  writeWords(): Promise<void>;
}

/** Implements the engine's interface. `workerName` is written into attempts; `roles` are the database roles of handlers. */
export function createEngineStore(store: Store, workerName: string, roles: HandlerRoles = new Map()): WorkerStore {
  const words = createRecentWords(store);
  const readRegistered = createRegisteredReader();
  return {
    transaction: (fn) =>
      eagerTransaction(store, (client, control) =>
        fn(createEngineTransaction(client, control, { workerName, roles, readRegistered, words })),
      ),
    writeWords: () => words.write(),
    waitUntilAvailable: (signal) => store.waitUntilAvailable(signal),
    claimDeliveries: (options) => claimDeliveries(store.pool, options),
    claimLanes: (options) => claimLanes(store.pool, options),
    claimForOutside: (options) => claimForOutside(store, options),
    releaseClaim: (claim) => releaseClaim(store, claim),
    recordEffect: async (delivery, key, json) => (await recordEffect(store.pool, delivery, key, json)) !== "lost",
    leaseEndpoint: (id, lease) => leaseEndpoint(store, id, lease),
    releaseEndpoint: (id, token) => releaseEndpoint(store, id, token),
    finishDeliveries: (finished) => finishDeliveries(store, workerName, finished),
    saveEndpointHealth: (id, health) => saveEndpointHealth(store, id, health),
    disableEndpoint: (id, disablement) => disableEndpoint(store, id, disablement),
    isInterruptedDue: (subscribers) => isInterruptedDue(store, subscribers),
    releaseDeliveries: (deliveries, options) => releaseDeliveries(store, deliveries, options),
    reclaimDeliveries: (options) => reclaimDeliveries(store, workerName, options),
    registerHandlers: (handlers) => registerHandlers(store, handlers),
  };
}
