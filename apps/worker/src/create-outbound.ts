import { createGuard, createSender, parseMasterKeys } from "@penstock/dispatch";
import type { Outbound } from "@penstock/engine";
import type { OutboundConfig } from "@penstock/schemas";

/**
 * As many as one endpoint may have requests in flight: a request that waited for a connection would look like a slow receiver.
 * Endpoints of one origin share the connections (docs/endpoints.md).
 */
const CONNECTIONS_PER_ORIGIN = 256;

/**
 * Opens what deliveries to endpoints need: guarded connections by origin, and the keys of the endpoints' secrets. Null without
 * a master key: such a worker leaves endpoints to other workers.
 */
export function createOutbound({
  masterKeys,
  allow,
  ports,
}: OutboundConfig): (Outbound & { close(): Promise<void> }) | null {
  if (masterKeys === null) return null;
  const keyring = parseMasterKeys(masterKeys);
  const sender = createSender({
    guard: createGuard({ allow, ports }),
    connectionsPerOrigin: CONNECTIONS_PER_ORIGIN,
  });
  return {
    post: (request) => sender.post(request),
    openSecret: (sealed, endpoint) => keyring.open(sealed, endpoint),
    close: () => sender.close(),
  };
}
