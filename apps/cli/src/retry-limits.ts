import type { DeliverySummary } from "@penstock/store";
import type { CliContext } from "./cli-context.ts";
import { loadProjectConfig } from "./project-config.ts";
import type { RetryLimits } from "./output/describe-delivery.ts";

/**
 * How often each handler tries, from penstock.config.ts. It is loaded only when some delivery is between two tries, and
 * where it cannot be loaded the limits are just not shown.
 */
export async function findRetryLimits(ctx: CliContext, deliveries: readonly DeliverySummary[]): Promise<RetryLimits> {
  if (!deliveries.some(({ state }) => state === "retrying")) return new Map();
  const config = await loadProjectConfig(ctx).catch(() => ({ handlers: [] }));
  return new Map(config.handlers.map(({ name, retry }) => [name, retry.attempts]));
}
