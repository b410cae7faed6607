import type { EngineStore } from "@penstock/engine";
import { claimDelivery } from "./claim-delivery.ts";
import { claimDeliveries, isInterruptedDue, reclaimDeliveries, releaseDeliveries } from "./claim-deliveries.ts";
import { claimForEndpoint } from "./claim-for-endpoint.ts";
import { claimLanes } from "./claim-lanes.ts";
import type { Store } from "./create-store.ts";
import { createEngineTransaction } from "./engine-transaction.ts";
import { disableEndpoint, noteEndpointHealth, openEndpoint } from "./endpoint-health.ts";
import { createRegisteredReader } from "./endpoint-subscriptions.ts";
import { finishDeliveries } from "./finish-deliveries.ts";
import { finishDelivery } from "./finish-delivery.ts";
import type { HandlerRoles } from "./handler-roles.ts";
import { recordEffect } from "./record-effect.ts";
import { registerHandlers } from "./registered-handlers.ts";
import { eagerTransaction, transaction } from "./transaction.ts";

/** The store as the engine wants it. `workerName` stands in the rows of attempts; `roles` keep handlers apart. */
export function createEngineStore(store: Store, workerName: string, roles: HandlerRoles = new Map()): EngineStore {
  const readRegistered = createRegisteredReader();
  return {
    transaction: (fn) =>
      eagerTransaction(store, (client, control) =>
        fn(createEngineTransaction(client, control, { workerName, roles, readRegistered })),
      ),
    waitUntilAvailable: (signal) => store.waitUntilAvailable(signal),
    claimDeliveries: (options) => claimDeliveries(store, options),
    claimLanes: (options) => claimLanes(store, options),
    claimDelivery: (delivery, options) => claimDelivery(store, delivery, options),
    recordEffect: async (delivery, key, json) => (await recordEffect(store.pool, delivery, key, json)) !== "lost",
    finishDelivery: (delivery, result) =>
      transaction(store, (client) => finishDelivery(client, workerName, delivery, result)),
    openEndpoint: (id) => openEndpoint(store, id),
    claimForEndpoint: (id, options) => claimForEndpoint(store, id, options),
    finishDeliveries: (finished) => finishDeliveries(store, workerName, finished),
    noteEndpointHealth: (id, health) => noteEndpointHealth(store, id, health),
    disableEndpoint: (id, disablement) => disableEndpoint(store, id, disablement),
    isInterruptedDue: (subscribers) => isInterruptedDue(store, subscribers),
    releaseDeliveries: (deliveries, options) => releaseDeliveries(store, deliveries, options),
    reclaimDeliveries: (options) => reclaimDeliveries(store, workerName, options),
    registerHandlers: (handlers) => registerHandlers(store, handlers),
  };
}
