import { deepFreeze } from "./deep-freeze.ts";
import { parseEnvironment } from "./parse-environment.ts";
import type { Environment } from "./secret-files.ts";
import { variables } from "./variables.ts";

/** What it takes to deliver to endpoints, checked. */
export type OutboundConfig = {
  /** What opens the signing secrets of endpoints: keys in base64, separated by commas, the first seals; `null`: not set. */
  readonly masterKeys: string | null;
  /** Ranges of addresses that endpoints may have although they are not public. */
  readonly allow: readonly string[];
  /** The ports that they may have, but for those that `allow` lets through. */
  readonly ports: readonly number[];
};

const { PENSTOCK_MASTER_KEY, OUTBOUND_ALLOW, OUTBOUND_PORTS } = variables;

export const outboundVariables = { PENSTOCK_MASTER_KEY, OUTBOUND_ALLOW, OUTBOUND_PORTS };

export function toOutboundConfig(values: {
  readonly PENSTOCK_MASTER_KEY?: string | undefined;
  readonly OUTBOUND_ALLOW: readonly string[];
  readonly OUTBOUND_PORTS: readonly number[];
}): OutboundConfig {
  return {
    masterKeys: values.PENSTOCK_MASTER_KEY ?? null,
    allow: values.OUTBOUND_ALLOW,
    ports: values.OUTBOUND_PORTS,
  };
}

/** Reads what it takes to deliver to endpoints. @throws {ConfigError} with every problem at once, never with a value. */
export function parseOutboundConfig(environment: Environment): OutboundConfig {
  return deepFreeze(toOutboundConfig(parseEnvironment(outboundVariables, environment)));
}
