import { createGuard, createSender, parseMasterKeys } from "@penstock/dispatch";
import type { Outbound } from "@penstock/engine";
import type { OutboundConfig } from "@penstock/schemas";

/**
 * The most that one endpoint may have under way: what waited for a connection would look like a receiver that is slow.
 * Several of one origin share it; docs/endpoints.md says so.
 */
const CONNECTIONS_PER_ORIGIN = 256;

/**
 * Opens what it takes to deliver to endpoints: connections by origin, guarded, and the keys of their secrets. Null without a
 * master key: then a worker leaves endpoints to others.
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
