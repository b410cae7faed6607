import { hash } from "node:crypto";

/**
 * Stable for (handler, event, generation), and different between installations that share a provider's test events. Generation 0
 * is left out of the key.
 */
export function idempotencyKey(
  handler: string,
  event: { readonly source: string; readonly id: string; readonly seq: number },
  generation: number,
): string {
  const name = [handler, event.source, event.id, event.seq, ...(generation === 0 ? [] : [generation])];
  return hash("sha256", JSON.stringify(name), "hex").slice(0, 32);
}
