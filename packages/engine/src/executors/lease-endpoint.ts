import type { EngineContext, Outbound } from "../contract/engine-context.ts";
import { describeError } from "../outage/errors.ts";
import { retryPastStop, retryUntilStop } from "../outage/outage-pause.ts";
import type { SigningEndpoint } from "./try-endpoint.ts";

/** How long an endpoint waits for another worker when its worker has vanished. Each time slice renews the lease. */
const LEASE_MS = 20_000;
/** How long the circuit of an endpoint is open whose secret this worker cannot open. */
const UNSIGNED_MS = 60_000;

/**
 * Leases an endpoint, or renews the lease, and opens its secrets. Resolves to null when there is nothing to do: the endpoint
 * is gone, paused, disabled or leased by another worker, its circuit is open, or its secret cannot be opened.
 */
export async function leaseEndpoint(
  engine: EngineContext,
  outbound: Outbound,
  id: string,
  token: string,
): Promise<SigningEndpoint | null> {
  const endpoint = await retryUntilStop(engine, () => engine.store.leaseEndpoint(id, { token, leaseMs: LEASE_MS }));
  if (endpoint === null) return null;
  const [newest = "", ...older] = endpoint.secrets;
  try {
    return { ...endpoint, openedSecrets: [outbound.openSecret(newest, id), ...older.flatMap(openIfPossible)] };
  } catch (error) {
    const { errorMessage } = describeError(error);
    const lastError = `its secret cannot be opened, is PENSTOCK_MASTER_KEY the one it was made with? ${errorMessage}`;
    engine.log.error({ endpoint: id, lastError }, "nothing is delivered to this endpoint for a minute");
    const health = { ...endpoint.health, openForMs: UNSIGNED_MS, lastError };
    await retryPastStop(engine, () => engine.store.saveEndpointHealth(id, health));
    return null;
  }

  /** A secret that is being rotated out is not worth stopping for. */
  function openIfPossible(sealed: string): string[] {
    try {
      return [outbound.openSecret(sealed, id)];
    } catch {
      return [];
    }
  }
}

/** Ends a lease, so that another worker can have the endpoint at once. Never rejects. */
export async function releaseEndpoint({ store, log }: EngineContext, id: string, token: string): Promise<void> {
  await store.releaseEndpoint(id, token).catch((error: unknown) => {
    log.warn({ endpoint: id, err: error }, "an endpoint could not be released, its lease will run out");
  });
}
