import type { RouteResult, deliveryRoutes } from "@penstock/schemas/admin";
import { showDeliveries, type Store } from "@penstock/store";

type Shown = RouteResult<(typeof deliveryRoutes)["GET /deliveries/details"]>["items"];

/** The deliveries of an event with the trace of each try and of the event, as their viewers want them. */
export async function showWithTraces(store: Store, wanted: Parameters<typeof showDeliveries>[1]): Promise<Shown> {
  return (await showDeliveries(store, wanted)).map((delivery) => ({
    ...delivery,
    traceId: traceIdOf(delivery.traceparent),
    attemptLog: delivery.attemptLog.map((attempt) => ({ ...attempt, traceId: traceIdOf(attempt.traceparent) })),
  }));
}

const traceIdOf = (traceparent: string | null): string | null =>
  /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-/.exec(traceparent ?? "")?.[1] ?? null;
