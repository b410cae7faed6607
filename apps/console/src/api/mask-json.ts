import { MASK } from "@penstock/schemas/admin";

/** A body as those see it who may not see payloads: the keys of its JSON, each value masked. Of anything else nothing. */
export function maskBody(body: Buffer): string {
  try {
    return JSON.stringify(mask(JSON.parse(body.toString())));
  } catch {
    return MASK;
  }
}

function mask(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(mask);
  if (typeof value !== "object" || value === null) return MASK;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mask(item)]));
}
