import type { TransactionalHandler } from "@penstock/handler-sdk";
import type { ClaimedDelivery, EngineStore } from "./engine-store.ts";
import { laneRuleOf } from "./lane.ts";
import { leaseOf } from "./run-delivery.ts";

interface Asking {
  readonly resolve: (head: ClaimedDelivery | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes one claim of all the heads of lanes that are asked for while the claim before is under way: many lanes are free at
 * once, and each claim costs a commit. Whoever gets none gets null.
 */
export function createHeadClaims(
  store: EngineStore,
  handler: TransactionalHandler,
): () => Promise<ClaimedDelivery | null> {
  const options = { ...laneRuleOf(handler), subscriber: handler.name, leaseMs: leaseOf(handler), interrupted: false };
  let asking: Asking[] = [];
  let claiming = false;

  async function claimAll(): Promise<void> {
    claiming = true;
    while (asking.length > 0) {
      const asked = asking;
      asking = [];
      try {
        const heads = await store.claimLanes({ ...options, limit: asked.length });
        asked.forEach(({ resolve }, at) => resolve(heads[at] ?? null));
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    }
    claiming = false;
  }

  return () =>
    new Promise((resolve, reject) => {
      asking.push({ resolve, reject });
      if (!claiming) void claimAll();
    });
}
